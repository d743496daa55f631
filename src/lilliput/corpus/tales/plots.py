"""What happens in the tales: each plot names its people and things once, and has them come back later."""

# ruff: noqa: E501 (an alternative is a line, however long)

PLOTS = {
    "plot": """
        3| \\n\\nOne day {A} [lose] {A.his} <look=q> <colour=c> <thing=t>, a gift from <nature.a> <person=B> called <Coined>. @lost
        3| \\n\\nOne day in <time> {A} [take] <look.a=q> <thing=t> to the market. @trade
        3| \\n\\nIn <time> {A} [want] to see the famous <place=P> of <town=U>. @journey
        2| \\n\\nEvery year there [be] a great <feat=f> contest in {T.^}. @contest
        2| \\n\\nAt the <air> <place=P> of {T.^} there [be] <look.a=q> <thing=t>, and everyone [love+] it. @repair
        2| \\n\\nThere [be] a knock at the door on <look.a> evening in <time>. @visit
        3| \\n\\nSomewhere <where> the <look> <spot=S> in the <air> <place> {A} [find] a map. @map
        2| \\n\\nThat <time> a great storm [come] to {T.^}. @storm
        2| \\n\\n{A} [have] a friend called <child=R>, who [be] <nature> and <nature>. @quarrel
        3| \\n\\nIt [be] in the <air> <place=P> that {A} [meet] <nature.a=q> <animal=F>. @friend
        2| \\n\\n{A} [have] to choose a present for <nature.a> <person=B>, whose birthday [be] in <time>. @present
        2| \\n\\n"Somebody has been stealing our <food.s=f>!" <voice.t> the <nature> <person=B> one morning. @thief
    """,
    "lost": "@search @asked @search @found @thanks@ending",
    "search": """
        3| {A.He} [look] <where> the <look> <spot>, but [find] only <look.a> <colour> <thing>.
        2| {A.He} [search] the <air> <place> <manner>, but there [be] no {t} to be seen.
        2| Perhaps it [be] in the <air> <place>? No, there [be+] only <number> <look> <colour> <thing.s>.
        2| Then {A.he} <move.t> to the <air> <place> and [look] <where> <look.a> <spot>, without luck.
        1| Right <where> the <look> <spot> {A.he} [see] something <colour>, but it [be] just <taste.a> <food>.
    """,
    "asked": """
        3| "Have you seen my {q} {t}?" {A.he} [ask] <nature.a> <person=C> called <Coined>. "No," <voice.t> the {C}, "I only have <look.a> <colour> <thing>."
        2| So {A.he} [ask] <nature.a> <person=C> called <Coined> at the <air> <place>. The {C} [be] <mood>, but [promise] to look <where> the <look> <spot>.
        2| "What is the matter?" <voice.t> <nature.a> <person=C> called <Coined>. {A} [tell] {C.him} about the {c} {t}, and the {C} [help] to look.
    """,
    "found": """
        3| Just then <nature.a> <animal=F> [come] <move.ing> along. It [have] the {q} {c} {t}! {A} [give] the {F} <taste.a> <food>.
        2| Then {A} [think] of the <air> <place=Q>. There, <where> <look.a> <spot>, [lie] the {q} {c} {t}.
        2| In the end it [be] the {C} who [find] the {q} {c} {t}, <where> the <look> <spot>.
        1| When {A.he} [be] about to give up, <child=R> [bring] {A.him} the {q} {c} {t} from the <air> <place>.
    """,
    "thanks": """
        2| {A} [run] to the {B} <manner> and [show] {B.him} the {t}. "Take good care of it," <voice.t> the {B}.
        2| The {B} [be] <mood> when {B.he} [hear] the story. "That {t} always comes back," {B.he} [say] <manner>.
        1| Since then the {c} {t} [have] a place of its own, <where> the <look> <spot>, and the {B} often [come] to see it.
    """,
    "trade": """
        1| @sky There {A.he} [meet] <nature.a> <person=B>, who [carry] <look.a=r> <thing=u>. @offer\
\\n\\nNear the <air> <place=P> <nature.a> <person=C> [sit] <where> the <look> <spot>, <mood> and <mood>. "If only I had {u.a}!" <voice.t> the {C}. \
"All I have is <look.a=s> <thing=v>." @swap @home@ending
    """,
    "offer": """
        2| "I will give you my {r} {u} for your {q} {t}," <voice.t> the {B}. {A} [agree] <manner>.
        2| "What a <look> {t}!" <voice.t> the {B} <manner>. "Would you take {u.a} for it?" And so they [trade+].
        1| The {B} [like] the {t} so much that {B.he} [offer] the {r} {u} for it, and <number> <taste> <food.s> as well.
    """,
    "swap": """
        2| {A} [give] {C.him} the {r} {u} <manner>, and the {C} [give] {A.him} the {s} {v}.
        2| So the {r} {u} [go] to the {C}, and {A} [get] the {s} {v} and <taste.a> <food>.
        1| "Take mine," {A} <voice.t>, and [get] the {s} {v} in return. The {C} <move.t> away with the {u}, <mood>.
    """,
    "home": """
        2| At home {A} [think] of the day: the {q} {t} [belong] to the {B}, the {r} {u} to the {C}, and the {s} {v} to {A.him}.
        1| In the evening {A} [put] the {s} {v} <where> the <look> <spot>. It [be] not the {q} {t}, but it [be] <look>, and the {C} [be] <mood> again.
    """,
    "journey": """
        1| Into a bag {A.he} [pack] <look.a=q> <thing=t>, <look.a=r> <thing=u> and <taste.a> <food=f>. @way@give_first@give_second\
\\n\\nAt last {A.he} [reach] {U}. @sky The {P} [be] even more <air> than {A.he} [expect]. @hungry@ending
    """,
    "give_first": """
        2| \\n\\nBy the <air> <place> {A.he} [meet] <nature.a> <person=B>, who [need] {t.a}. {A} [give] {B.him} the {q} one <manner>.
        2| \\n\\nAt a bridge <nature.a> <person=B> [ask] for help. "You may have my {q} {t}," {A} <voice.t>. The {B} [be] <mood>.
        1| \\n\\nThen {A.he} [help] <nature.a> <person=B> to <work>. They [use+] the {q} {t} for it, and the {B} [keep] it.
    """,
    "give_second": """
        2| \\n\\nFurther on <nature.a> <animal=F> [sit] <where> <look.a> <spot>. It [look] at the {r} {u} so <manner> that {A} [leave] it there.
        2| \\n\\nIn the <air> <place> [live] <nature.a> <person=C>, poor and <mood>. {A} [give] {C.him} the {r} {u}, and the {C} [dance] for joy.
        1| \\n\\nAt night <nature.a> <animal=F> [steal] the {r} {u}. {A} <voice.t> <manner>, but the {F} [be] gone.
    """,
    "hungry": """
        2| Now {A} [have] only the {f} left, and {A.he} [share] it with <child=R>, <nature.a> {R.child} from {U}.
        2| The {B} [be] there too! {B.He} [bring] back the {t}, and together they [eat+] the {f}.
        1| {A} [eat] the {f} <where> the <look> <spot>, <mood>, and [think] of the {B} with the {t}.
    """,
    "contest": """
        1| The prize [be] <look.a=q> <colour=c> <thing=t>. {A} [want] to win, and so [do] <child=R>, the <nature> child of <nature.a> <person=B> called <Coined>. \
@boast @train@result@ending
    """,
    "boast": """
        2| "I will win the {t}," {R} <voice.t> <manner>. "{A} is far too <mood>."
        2| "The {c} {t} is mine already," {R} <voice.t>. {A} [say] nothing, but [be] <mood>.
        1| "May the best one win," {R} <voice.t> <manner>, and {A} [think] so too.
    """,
    "train": """
        2| {A} [practise] in the <air> <place> from morning to night, as <manner> as <nature.a> <animal>.
        2| {R} [prefer] to <work>, and [sleep] <where> the <look> <spot>.
        2| "You must eat <food.s>," the {B} [tell] {R}, "and <work> before breakfast."
        1| Once {A} and {R} [meet+] <where> the <look> <spot> and [try+] the {f}, and <number> <nature> <animal.s> [watch+].
        1| {A} [ask] <nature.a> <person> for advice. "<Work>, and never give up," [be] the answer.
    """,
    "result": """
        3| \\n\\nWhen the day [come], {A} [be] the best of <number>. The {c} {t} [belong] to {A}! {R} [be] <mood>, but [shake] {A.his} hand.
        2| \\n\\nOn the day of the contest {R} [fall] <where> the <look> <spot>. {A} [stop] to help {R.him}, and neither of them [win+] the {q} {t}. @shared
        2| \\n\\nThe winner [be] {R}. {A} [be] <mood>, but {A.he} [praise] the {c} {t} <manner>. @shared
    """,
    "shared": """
        2| Then {R} [say], "You may play with the {t} on <day>."
        1| So the {B} [bake] <taste.a> <food> for both of them.
        1| That evening {A} and {R} [eat+] <number> <taste> <food.s> together.
    """,
    "repair": """
        1| But one <weather> night in <time> it [break]. @feeling\\n\\nFirst <nature.a> <person=B> [come] with <look.a> <thing=u>. @failed \
Then <nature.a> <person=C> [bring] <look.a> <thing=v>. @failed\\n\\n@fixed @meal@ending
    """,
    "failed": """
        2| It [be] no use: the {t} [stay] as <look> as before.
        2| For <number> hours everybody [hope+], but the {t} only [get] more <look>.
        1| "I am too <mood> for this," <voice.t> the poor helper, and [go] home to <work>.
        1| A piece [fall] <where> the <look> <spot>, and the {t} [be] worse than ever.
    """,
    "fixed": """
        3| Then {A} [have] an idea. {A.He} [tie] the {u} of the {B} to the {v} of the {C}, and the {q} {t} [work] again!
        2| "Let me try," {A} <voice.t> <manner>. With the {v} and <look.a> <colour> <thing> {A.he} [mend] the {q} {t}.
        2| At last {A} [see] what [be] wrong: <taste.a> <food> [be] stuck in it. Neither the {B} nor the {C} [notice] it.
    """,
    "visit": """
        1| Outside [stand] <nature.a> <person=B> called <Coined> from <town=U>, <mood> and <mood>, with <look.a=q> <thing=t> under one arm. @welcome @stay\\n\\nAfter <number=x> days the {B} [have] to go back to {U}. @farewell@ending
    """,
    "welcome": """
        2| "Come in," {A} <voice.t>, and [give] {B.him} <taste.a> <food> and <look.a> <colour> blanket to sleep under.
        2| "May I stay?" <voice.t> the {B}. "As long as you like," {A} [say] <manner>.
        1| {A} [be] <mood> at first, but the {B} [tell] such <look> stories that {A.he} soon [laugh].
    """,
    "stay": """
        2| In the mornings the {B} [show] {A} how to <work>.
        2| At noon they [go+] to the <air> <place> and [eat+] <number> <taste> <food.s>.
        2| Once they [see+] <nature.a> <animal> <where> the <look> <spot>, and {A} <voice.t> <manner>.
        1| In the evenings they [sit+] <where> the <look> <spot>, and the {B} [speak] of the <air> <place> in {U}.
        1| The {t} always [lie] <where> the <look> <spot>, and nobody [be] allowed to touch it.
    """,
    "farewell": """
        2| {B.He} [leave] the {q} {t} on the table. "For {A}," a note [say], "from the {B} of {U}."
        2| "{x} days are short," {A} <voice.t>. The {B} [smile] <manner> and [give] {A.him} the {q} {t}.
        1| {A} [go] along as far as the <air> <place>, and [carry] the {t}. There they [say+] goodbye <manner>.
    """,
    "map": """
        1| "Start at the <air> <place=P>," it [say]. "Go to the <air> <place=Q>. Then look <where=w> the <colour=c> <spot=Y>." \
@company\\n\\nFrom the {S} {A} <move.t> to the {P}. @sky @way\\n\\nAt the {Q} {A.he} [stop]. And there it [be], the {c} {Y}! @dig@ending
    """,
    "company": """
        2| {A} [ask] <child=R> to come along, and {R} [bring] <look.a> <colour> <thing> and <number> <taste> <food.s>.
        2| "A treasure!" <voice.t> <nature.a> <person=R>, who [read] it over {A.his} shoulder. "Take me with you!"
        1| {A.His} <nature> <animal=R> [want] to come too, so {A} [pack] <taste.a> <food> for it.
    """,
    "dig": """
        3| {A} and the others [look+] {w} it and [pull+] out <look.a=q> <thing=t>, full of <treasure> or at least of <taste> <food.s>.
        2| But {w} the {Y} [be] only <look.a=q> <thing=t>. {A} [be] <mood>. "It is the road from the {P} to the {Q} that counts," {A.he} [say].
        2| {w.^} it [sleep] <nature.a> <animal=F> called <Coined>. It [wake], and [give] up <number> <look> <colour> <thing.s>.
    """,
    "storm": """
        1| It [shake] the <air> <place=P> and [carry] off <number=x> <look=q> <thing.s=t>. @damage\
\\n\\n"We must help one another," {A} <voice.t>. @helping By <time> all {x} {t.s} [be+] back at the {P}. @meal@ending
    """,
    "damage": """
        2| The <nature> <person> [lose] <look.a> <colour> <thing>, and the <nature> <person> [find] <nature.a> <animal> <where> the <look> <spot>.
        2| Right <where> the <look> <spot> [lie+] <number> <taste> <food.s>.
        1| Even the <look> <place> [be] full of water and <taste> <food.s>.
        1| About <number> <nature> <animal.s> [hide+] in the <air> <place>, <mood> and wet.
    """,
    "helping": """
        2| The <nature> <person> [bring] <look.a> <colour> <thing>, and the <nature> <person> [begin] to <work>.
        2| {A} [find] one of the {q} {t.s} <where> the <look> <spot>, beside <nature.a> <animal>.
        2| {A} and <child> [run+] to the <air> <place> and [come+] back with more {t.s}.
        1| At the <air> <place> somebody [cook] <taste> <food.s> for all of them.
    """,
    "quarrel": """
        1| They [share+] <look.a=q> <colour=c> <thing=t>. One <weather> morning {A} [want] to <work=V> with it, but {R} [want] to <work=X>. \
@words @apart @advice\\n\\n@peace@ending
    """,
    "words": """
        2| "You are always so <nature=y>," {A} <voice.t>. "And you are <nature=z>!" <voice.t> {R}.
        2| "The {t} is mine," {R} <voice.t> <manner>. "No, it is mine," {A} <voice.t>. "You are <nature=y>!" "And you are <nature=z>!"
        1| {R} [call] {A} <nature=z>, and {A} [call] {R} <nature=y>.
    """,
    "apart": """
        2| {A} <move.t> to the <air> <place> and {R} <move.t> to the <air> <place>, both <mood>.
        2| For <number> days they [do+] not speak, and the {c} {t} [lie] <where> the <look> <spot>.
        1| {R} [take] the {t} away and [hide] it <where> the <look> <spot>.
    """,
    "advice": """
        2| "I once lost <look.a> <colour> <thing>," <nature.a> <person=B> [tell] {A}, "but I never lost a friend."
        2| Then <nature.a> <person=B> [come] by. "Who is <nature> enough to say sorry?" <voice.t> the {B}.
        1| The <nature> <person=B> [hear] of it and <voice.t>, "<Work> on <day>, {X} on <day>. Is that so hard?"
    """,
    "peace": """
        2| "I am sorry that I called you {y}," {A} [say] <manner>. Soon they [be+] friends, and together they [begin+] to {V}.
        2| "You are not {z} at all," [say] a letter from {R}. {A} [run] to {R.him} with the {c} {t}, and they [begin+] to {X}.
        1| {A} [give] {R} <taste.a> <food>, and {R} [give] {A} the {q} {t}. The {B} [see] it and [be] <mood>.
    """,
    "friend": """
        1| The {F} [sit] <where> the <look> <spot>, <mood> and <mood>. @tame @together\\n\\n@rescue \
@reward@ending
    """,
    "tame": """
        2| {A} [give] it <taste.a> <food=f>, and the {F} [eat] it <manner>. From then on it [get] <taste.a> <food> every day.
        2| "Do not be <mood>," {A} <voice.t>, and [wrap] the {F} in <look.a> <colour> <thing>.
        1| "Can you speak?" {A} <voice.t>. "Only on <day>," the {F} <voice.t>, "and only about <taste> <food.s>."
    """,
    "together": """
        2| The {F} [learn] to <work>, and {A} [learn] to sleep <where> the <look> <spot>.
        2| They [go+] to the <air> <place> together and [find+] <number> <look> <colour> <thing.s>.
        1| When {A} [be] <mood>, the {q} {F} [bring] {A.him} <look.a> <colour> <thing>.
        1| All the <animal.s> of the {P} [know+] them, and even the <nature> <person> [be] <mood>.
    """,
    "rescue": """
        2| One night in <time> the <air> <place=Q> [catch] fire. The {F} [wake] {A}, and {A} [wake] the <nature> <person=B>. Soon the fire [be] out.
        2| On a <weather> day in <time> {A} [get] lost near the <air> <place=Q>. It [be] the {q} {F} that [find] {A.him} there, and that [lead] {A.him} to the <nature> <person=B>.
        1| Then the <nature> <person=B> [fall] into the water by the <air> <place=Q>. The {F} [jump] in after {B.him}, and {A} [throw] <look.a> <colour> <thing>.
    """,
    "reward": """
        2| The {B} [give] the {F} <number> <taste> <food.s>, and {A} <look.a> <colour> <thing>.
        2| "A {q} {F} from the {P} has saved the {Q}!" <voice.t> the {B} <manner>.
        1| Now there [be] a statue of the {q} {F} in the {P}, made by the {B}.
    """,
    "present": """
        1| In the shop there [be+] <look.a=q> <thing=t>, <look.a=r> <thing=u> and <look.a=s> <thing=v>. @advise @chosen\
\\n\\nIn the evening the {B} [open] the parcel <manner>. @opened@ending
    """,
    "advise": """
        2| "Take the {q} {t}," <voice.t> <nature.a> <person>. "One can <work> with it."
        2| "I should take the {r} {u}," <voice.t> <child> <manner>. "It is so <look>!"
        2| "The {s} {v} comes from the <air> <place> of <town>," the shopkeeper [explain] <manner>.
        1| {A} [be] <mood>, and [count] the <number> coins in {A.his} <look> <thing>.
    """,
    "chosen": """
        2| In the end {A} [buy] the {t}, and [tie] it up with <colour.a> ribbon. @t_given
        2| But {A} [like] the {r} {u} best, and [hide] it <where> the <look> <spot> for <number> days. @u_given
        2| For <number> days {A} [think] of the {v}; then {A.he} [get] it. @v_given
    """,
    "t_given": "Nobody [be] to know, neither <child> nor <child>. The {q} {t} [wait] in the <air> <place>.",
    "u_given": "Then {A.he} [carry] the {u} to the <air> <place>, past <number> <nature> <animal.s>.",
    "v_given": "{A.He} [put] the {s} {v} into <look.a> <colour> <thing> and <move.t> to the <air> <place>.",
    "opened": """
        2| "Just what I need when I <work>!" {B.he} <voice.t>, and they all [eat+] <taste.a> <food>.
        2| Then {B.he} [laugh]: {B.he} [have] <number> of them already, all <colour>! But {B.he} [love] this one the best.
        1| {B.He} [be] so <mood> that {B.he} [begin] to <work>.
    """,
    "thief": """
        1| "Only the <number=x> <taste> ones are left." {A} [look] <manner> at the ground. There [be+] <look=q> <colour=c> tracks. \
@suspect @suspect\\n\\n@watch @caught@ending
    """,
    "suspect": """
        2| "It was the <nature> <person>," <voice.t> <child>. But the tracks [be+] too <look> for that.
        2| "I say it was <nature.a> <animal>," <voice.t> <nature.a> <person>. "I saw it <where> the <look> <spot>."
        1| "I was in the <air> <place> all night," <voice.t> <child> <manner>, "to <work>."
        1| At the <air> <place> the {c} tracks [turn+] left and [lead+] <where> <look.a> <spot>.
    """,
    "watch": """
        2| That night {A} and the {B} [hide+] <where> the <look> <spot> and [wait+] for <number> hours.
        2| So {A} [lay] {x} {f.s} <where> the <look> <spot>, tied to <look.a> <colour> <thing>.
        1| {A} [follow] the {q} {c} tracks as far as the <air> <place>, with <look.a> <colour> <thing> in {A.his} hand.
    """,
    "caught": """
        2| At midnight <nature.a> <animal=F> [come] out. It [have] <number> young ones, all <mood>. The {B} [give] them the {x} {f.s}.
        2| Who [come] <move.ing> along? The {B}! {B.He} [walk] and [eat] <food.s> in {B.his} sleep, on {q} {c} feet. @feeling
        1| It [be] <child=R>, <mood> and hungry. "Ask me the next time," <voice.t> the {B}, and [give] {R.him} <taste.a> <food>.
    """,
}
"""Sentences by rule, as in `grammar.py`."""
