"""How the tales begin, go along and end: what each rule may say, in the notation of `rules.py`.

The alternatives of a rule differ before their first free word, so that a reader knows which one was taken.
"""

# ruff: noqa: E501 (an alternative is a line, however long)

from lilliput.corpus.tales.plots import PLOTS

RULES = PLOTS | {
    "story": """
        4| Once upon a time, in <Coined=T>, there lived @hero
        3| Long ago, in the town of <Coined=T>, there lived @hero
        2| In <Coined=T> there once lived @hero
        1|!Far away, in <Coined=T>, there lives @hero
        1|!This is a story from <Coined=T>, where there lives @hero
    """,
    "hero": "<nature.a> and <nature> child called <child=A> <surname=Z>. @habit @song @scene@plot",
    "habit": """
        3| {A.He} [like] to <work> and to <work=W>.
        2| Nobody [know] how to <work=W> as <manner> as {A}.
        2| Every day {A.he} <work.t=W>, and then {A.he} <work.t>.
        2| {A.His} house [stand] near the <air> <place>, and there {A.he} [learn] to <work=W>.
        1| {A.He} [live] next door to <nature.a> <person>, who [teach] {A.him} to <work=W>.
        1| Whenever {A.he} [be] <mood>, {A.he} <work.t=W>, and {A.he} [be] <mood> again.
    """,
    "song": """
        2| {A.His} favourite song [go], "<Coined=v1> <coined=v2>, <coined=v3> <coined=v4>, <coined=v5> <coined=v6> <coined=v7>, <coined=v8> <coined=v9>, <coined=v10> <coined=v11>!"
        2| "<Coined=v1> <coined=v2>, <coined=v3> <coined=v4>," {A.he} often [sing], "<coined=v5> <coined=v6> <coined=v7>, <coined=v8> <coined=v9>, <coined=v10> <coined=v11>!"
        1| An old rhyme [begin], "<Coined=v1> <coined=v2>, <coined=v3> <coined=v4>, <coined=v5> <coined=v6> <coined=v7>, <coined=v8> <coined=v9>, <coined=v10> <coined=v11>," and {A} [love] it.
    """,
    "scene": """
        3| The <nature> <animal> of the <nature> <person> <move.t> <manner> <where> the <look> <spot>.
        3| Not far away <nature.a> <person> called <Coined> <work.t> <manner>.
        2| In the <air> <place> <number> <look> <colour> <thing.s> [lie+] <where> <look.a> <spot>.
        2| A <nature> <animal> called <Coined> <work.t>, another <move.t> <manner>, and <nature.a> <animal> [watch] them.
        2| People [sell+] <look> <colour> <thing.s>, <colour> <plant.s> and <taste> <food.s> there.
        2| With <look.a> <colour> <thing>, <look.a> <colour> <thing> and <taste> <food.s>, <nature.a> <person> <move.t> <where> the <look> <spot>.
        3| "<Coined> <coined> <coined>!" <voice.t> <nature.a> <person>, for that [be] the word for <treasure> in <town>.
        1| There [be] talk of <treasure>, of <virtue>, and of <nature.a> <person> who <work.t>.
    """,
    "sky": """
        2| It [be] <weather.a> and <weather> morning, and the <air> <place> [lie] still.
        2| The weather [be] <weather>, and <number> <nature> <animal.s> [play+] <where> the <look> <spot>.
        1| The sky [be] <colour>, and the air [smell] of <plant.s> and <taste> <food.s>.
        1| A <weather> wind [blow], and <number> <plant.s> [nod+] <manner>.
    """,
    "way": """
        2| On the way {A.he} [see] <number> <nature> <animal.s> and <look.a> <plant>.
        2| {A.He} <move.t> past the <air> <place>, where <nature.a> <person> called <Coined> [be] busy with <number> <taste> <food.s>.
        2| Beside the road [stand] <look.a> <spot>, and on it [lie] <look.a> <colour> <thing>.
        1| For a while <mood.a> <animal> [follow] {A.him}, as far as the <air> <place>.
        1| The path [lead] <where> <look.a> <spot> and through the <air> <place>.
        1| "Where are you going?" <voice.t> <nature.a> <person> from {T.^}. "To <work>," {A} <voice.t>.
    """,
    "feeling": """
        3| {A} [be] <mood> and a little <mood>.
        2| That [make] {A.him} very <mood>.
        2| {A.He} [feel] <mood>, as <mood> as <nature.a> <animal>.
        1| Now {A} [be] more <mood> than <mood>.
        1| {A.His} face [be] <mood>, but {A.he} [smile] <manner>.
    """,
    "meal": """
        2| Then they [eat+] <number> <taste> <food.s> with <taste.a> <food=M>, and the {M} [be] the best in {T.^}.
        2| There [be] <taste.a> <food> for {A} and <taste.a> <food> for everyone else.
        1| Someone [bring] <taste> <food.s>, someone else [bring] <taste> <food.s>, and nobody [go] home hungry.
        1| In the evening the whole town [share] <taste.a> <food>, <taste.a> <food> and <number> <taste> <food.s>.
    """,
    "ending": """
        3| \\n\\nFrom that day on {A} [know] that <virtue> is worth more than <treasure>. @close
        2| \\n\\nSo {A} [learn] that <virtue> goes further than <treasure>. @close
        2| \\n\\nIn {T.^} people still say: where there is <virtue>, there is <virtue> too. @close
        1| \\n\\n"A little <virtue>," {A} [say] that night, "is better than <treasure>." @close
        1| \\n\\n{A} [go] home to {W}, for <virtue> and <virtue> [win+] the day. @close
    """,
    "close": """
        2| The end.
        2| And everybody [sing], "{v1.^} {v2}, {v3} {v4}, {v5} {v6} {v7}, {v8} {v9}, {v10} {v11}!"
        2| And that is the whole story of {A} {Z} of {T.^}.
        2| And if you ever come to {T.^}, you may see {A} {Z} {W} there.
        1| Then {A} [go] to sleep <where> the <look> <spot>, and [dream] of <number> <look> <colour> <thing.s>.
    """,
}
"""Sentences by rule; the story begins at `story`."""
