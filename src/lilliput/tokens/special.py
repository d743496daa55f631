"""Special words: what ends a text, and what marks turns, tools and thoughts in a conversation."""

END_OF_TEXT = "<|endoftext|>"
"""GPT-2's word, which opens and closes documents."""
CHAT = ("<|im_start|>", "<|im_end|>")
"""Around each turn, as in ChatML."""
TOOLS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
"""Around what a model asks of a tool, and what the tool answers."""
THOUGHTS = ("<think>", "</think>")
"""Around reasoning that comes before an answer."""
CONVERSATION = (END_OF_TEXT, *CHAT, *TOOLS, *THOUGHTS)
"""All that a model needs which first learns text, then conversations."""
