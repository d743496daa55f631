"""The life of a model: prepare, tokenizer, pretrain, evaluate, tour."""
