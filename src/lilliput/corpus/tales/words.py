"""The words of the tales, by kind, the common ones first; `_` stands for a space."""

CHILDREN = """
Mia:f Tom:m Anna:f Ben:m Lily:f Sam:m Emma:f Jack:m Nora:f Leo:m Clara:f Max:m Ella:f Finn:m Rosa:f Oscar:m Ida:f
Hugo:m Lucy:f Felix:m Sophie:f Peter:m Alice:f Paul:m Maya:f Theo:m Greta:f Henry:m Julia:f Simon:m Ruby:f Daniel:m
Hanna:f Adam:m Eva:f Noah:m Marta:f Jonah:m Olive:f Samuel:m Vera:f Martin:m Stella:f David:m Amina:f Omar:m Leila:f
Karim:m Yasmin:f Malik:m Priya:f Arjun:m Meera:f Ravi:m Anika:f Rohan:m Sana:f Kofi:m Ama:f Kwame:m Zuri:f Jabari:m
Nia:f Tariq:m Keiko:f Haru:m Yuki:f Kenji:m Mei:f Wei:m Lin:f Jun:m Hana:f Minh:m Linh:f Mateo:m Camila:f Diego:m
Lucia:f Pablo:m Elena:f Rafael:m Ines:f Bruno:m Bianca:f Marco:m Chiara:f Luca:m Giulia:f Nico:m Freya:f Erik:m
Astrid:f Sven:m Ingrid:f Lars:m Sigrid:f Olaf:m Linnea:f Anton:m Katya:f Ivan:m Nadia:f Boris:m Zofia:f Jan:m Agata:f
Milan:m Petra:f Tomas:m Eszter:f Miklos:m Dora:f Andrei:m Ioana:f Stefan:m Daphne:f Nikos:m Ariadne:f Emre:m Elif:f
Deniz:m Shirin:f Darius:m Tamar:f Eitan:m Miriam:f Isaac:m Bridget:f Liam:m Maeve:f Rowan:m Gwen:f Dylan:m Isla:f
Callum:m Fiona:f Angus:m Harriet:f George:m Beatrice:f Arthur:m Matilda:f Edmund:m Rosalind:f Gilbert:m
"""

PEOPLE = """
baker:f farmer:m miller:m teacher:f gardener:m sailor:m shepherd:m weaver:f potter:f carpenter:m blacksmith:m
fisherman:m tailor:m doctor:f nurse:f painter:f musician:m librarian:f shopkeeper:f cook:m beekeeper:f watchmaker:m
shoemaker:m ferryman:m postman:m mayor:f captain:f innkeeper:m storyteller:f juggler:m clown:m magician:m astronomer:f
lighthouse_keeper:m goatherd:f woodcutter:m stonemason:m glassblower:f basket_maker:f candle_maker:f bell_ringer:m
toymaker:m bookbinder:f inventor:f mapmaker:f pilot:f explorer:f pedlar:m knight:m queen:f king:m duchess:f hermit:m
grandmother:f grandfather:m aunt:f uncle:m neighbour:f cousin:m caretaker:m train_driver:f bus_driver:m violinist:f
apprentice:m
"""

ANIMALS = """
dog cat rabbit fox hen goat donkey horse duck mouse owl squirrel sheep hedgehog cow frog bear crow goose wolf pony swan
badger otter beaver deer mole robin sparrow turtle parrot magpie raven pigeon stork heron lamb kitten puppy calf foal
piglet rooster turkey peacock camel monkey elephant tiger lion zebra giraffe kangaroo koala panda penguin seal dolphin
whale lizard snail beetle cricket grasshopper butterfly bumblebee ladybird spider dragonfly firefly weasel ferret
hamster marmot lynx falcon eagle seagull cuckoo nightingale woodpecker swallow ox
"""

THINGS = """
key ball kite book lantern basket hat coat ring bell drum flute whistle map candle mirror cup bowl spoon blanket ribbon
button box coin necklace bracelet scarf glove mitten boot umbrella pencil paintbrush letter notebook compass telescope
watch clock hammer ladder rope bucket broom needle thimble spool pillow teapot kettle jug plate saucepan knife fork
ladle rolling_pin sieve jar bottle cork barrel crate suitcase backpack purse wallet satchel pouch belt buckle apron
dress shirt sweater cap helmet crown feather pebble shell marble crystal pearl ruby emerald locket medal badge flag
banner lamp torch matchbox magnet spring wheel cog gear pulley anchor oar sail paddle fishing_rod net hook raft
wheelbarrow spade rake hoe shovel sickle watering_can flowerpot seed acorn pine_cone leaf branch walking_stick cane
puppet doll teddy_bear rocking_horse spinning_top jigsaw toy_boat toy_train toy_soldier skipping_rope hoop sledge
skate snow_globe music_box fiddle guitar harp trumpet horn accordion tambourine xylophone piano_stool songbook
storybook atlas dictionary diary postcard parcel envelope stamp newspaper photograph painting statue vase carpet
cushion curtain quilt hammock lampshade bookmark inkwell quill chess_piece playing_card domino puzzle riddle_book
magnifying_glass microscope thermometer hourglass sundial abacus calculator radio camera bicycle tricycle scooter
unicycle cart wagon saddle bridle horseshoe birdcage beehive doghouse fish_tank nest egg honey_pot jewel trinket
charm amulet wand cloak mask costume wig veil slipper sandal stocking sock handkerchief hairbrush comb towel sponge
soap_dish toothbrush bathtub
"""

PLACES = """
garden forest market river school mill bridge barn meadow lake harbour hill village library bakery orchard beach
cellar attic tower castle well fountain stable kitchen workshop field cave island valley mountain waterfall pond
marsh lighthouse windmill church station inn theatre museum hospital post_office bookshop toy_shop greenhouse park
playground courtyard square crossroads quarry mine vineyard pasture farm henhouse dovecote shed boathouse jetty dock
shipyard canal dam ford ferry tunnel railway cottage hut cabin tent palace ballroom throne_room dungeon moat
drawbridge watchtower gatehouse monastery schoolhouse town_hall bell_tower clock_tower observatory laboratory studio
smithy pottery dairy brewery laundry tannery sawmill granary
"""

TOWNS = """
Willowbrook Oakham Riverton Ashford Millbrook Stonebridge Fairhaven Greenfield Maplewood Thornbury Larkspur Brightwater
Elmsworth Foxhollow Goldcrest Hazelmere Ivydale Juniper_Hill Kingsbarrow Lindenhof Meadowbank Northwick Otterbourne
Pinecliff Quailbridge Rosemoor Sandhaven Tanglewood Underhill Vinegrove Westerly Yarrowby Alderney Birchgrove
Cloverdale Dunmore Eastmarsh Fernley Gullport Heatherton Icklesham Jasperville Kettlewell Lavenham Mosswick Nettlecombe
Orchard_End Puddleby Quarrington Ravenglass Saltmarsh Thistledown Upper_Dell Violet_Bay Wrenfield Yellowstone_Gap
Applecross Bramblewick Cobbleton Driftwood_Bay Evergreen Fiddler's_Green Glimmerford Honeyfield Inglenook Kestrel_Rock
Little_Snoring Marigold_Cross Nutley Old_Harbour Peppercombe Redwater Swanmere Turnip_Hill Ullswick Whistledown
Winterbourne
"""

FOODS = """
apple pear plum cherry_pie pancake bun sandwich cake biscuit cookie carrot potato tomato onion pumpkin turnip cabbage
strawberry raspberry blackberry blueberry peach apricot orange lemon melon banana fig date grape walnut hazelnut
chestnut almond pretzel muffin waffle doughnut dumpling pasty pie tart loaf bagel omelette sausage cheese cucumber
radish leek mushroom bean pea corn_cob honeycomb lollipop toffee_apple caramel gingerbread_man
"""

COLOURS = """
red blue green yellow white black brown grey golden silver purple pink orange scarlet crimson turquoise violet amber
ivory copper emerald_green sky_blue snow-white cream lilac maroon olive rose_red sapphire_blue bronze chestnut_brown
indigo
"""

LOOKS = """
old new small big little shiny tiny heavy round long broken pretty wooden soft strong wide thin clean dusty rusty
smooth rough bright dark plain painted carved woven knitted polished cracked crooked striped spotted folded faded
ragged fine fancy precious cheap rare strange ordinary curious beautiful ugly lovely delicate sturdy solid hollow
narrow flat curved pointed sharp blunt sticky slippery wet dry warm cold frozen dented chipped patched worn torn
tangled twisted battered weathered ancient antique foreign homemade borrowed forgotten mysterious enchanted magical
famous useless useful handsome elegant graceful dainty enormous gigantic huge massive miniature oval square leather
velvet silken woollen cotton linen wicker clay glass brass iron tin steel marble_white crystal_clear glittering
sparkling glowing gleaming scented musical squeaky noisy wobbly lopsided upside-down
"""

TASTES = """
sweet fresh ripe sour juicy crisp warm cold salty spicy creamy crunchy tasty delicious tender bitter golden buttered
sugared roasted baked boiled fried grilled toasted steamed smoked dried stuffed sliced chopped mashed pickled spiced
candied crusty crumbly fluffy sticky rich plump hot tangy mild mouldy burnt stale raw frozen peppery nutty fragrant
minty
"""

AIRS = """
old quiet dark sunny little new busy empty cold green peaceful shady noisy crowded lonely dusty misty muddy windy
ancient beautiful silent abandoned hidden distant nearby bright chilly cosy damp deserted dreary enchanted famous
flooded forgotten frosty gloomy grand grassy haunted humble icy leafy lively locked mossy mysterious narrow
neglected overgrown pleasant private ruined rustic sandy secret shabby sleepy snowy spacious spooky steep stony
stormy sunlit tidy tumbledown untidy vast wild
"""

SURNAMES = """
Appleby Barley Bell Berry Birch Blackwood Bloom Bramble Bridges Brook Butterworth Carter Chandler Cherry Clay Cooper
Copperfield Crane Dale Dewdrop Drake Fairweather Featherstone Fields Finch Fisher Flint Fletcher Frost Gale Garland
Glover Goodfellow Goodwin Greenleaf Grove Hale Hart Hawthorne Hazel Heath Hill Holloway Honeywell Hopkins Hunter
Ironside Jolly Juniper Kettle Lark Lightfoot Linden Lovelace Marsh Mason Meadows Merriweather Miller Moon Moss
Nightingale North Nutkin Oakes Page Partridge Penny Pepper Periwinkle Piper Plum Pond Porter Potter Proudfoot Quick
Quill Rainbow Redfern Reed Rivers Robin Rush Sage Sawyer Shepherd Silver Skylark Smith Snow Sparrow Stone Summers
Swift Tanner Thatcher Thorn Tinker Turner Underwood Vale Wainwright Walker Waters Weaver West Wheeler Whistler
Whitlock Wildgoose Winter Wood Woolley Wren Yarrow
"""

MOODS = """
happy sad tired hungry angry proud glad afraid calm worried cheerful lonely curious brave shy patient excited sleepy
grumpy thankful hopeful nervous surprised puzzled jealous gentle stubborn thoughtful bored restless merry gloomy
anxious confident content delighted disappointed eager embarrassed furious homesick impatient joyful miserable
relieved sorrowful startled suspicious thirsty triumphant uneasy weary wistful bewildered determined astonished
discouraged enthusiastic grateful satisfied
"""

NATURES = """
kind clever brave quiet cheerful careful honest gentle lively curious patient merry polite stubborn shy lazy greedy
clumsy dreamy generous wise funny friendly helpful hardworking forgetful boastful mischievous playful loyal modest
nosy absent-minded adventurous ambitious bashful bossy chatty daring faithful fearless grumpy hasty humble impatient
inventive joyful moody nimble obedient orderly practical quarrelsome reckless sensible serious sleepy soft-hearted
stern talkative thrifty timid trusting warm-hearted witty
"""

WEATHERS = """
sunny rainy windy snowy cloudy foggy stormy frosty warm cold misty hot chilly icy mild drizzly bright dull grey humid
breezy blustery thundery damp clear scorching freezing sultry hazy balmy
"""

TIMES = """
spring summer autumn winter January February March April May June July August September October November December
"""

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"

NUMBERS = " ".join(map(str, range(2, 400)))

COINED = " ".join(a + b + c + d for a in "bklmrtznpdsfgv" for b in "aeiou" for c in "dgmnprstvlkbzf" for d in "aioue")
"""Words of songs and of names that nobody has heard before."""

MANNERS = """
slowly quickly quietly happily sadly carefully gently suddenly loudly softly eagerly bravely kindly politely gladly
proudly calmly nervously patiently cheerfully angrily sleepily shyly gratefully hopefully silently thoughtfully
anxiously awkwardly boldly briskly clumsily curiously dreamily earnestly excitedly faithfully fiercely firmly
frantically generously gracefully greedily hastily heartily honestly hungrily impatiently innocently joyfully lazily
lightly merrily miserably modestly neatly nimbly noisily obediently playfully promptly rapidly reluctantly seriously
sharply smoothly solemnly steadily sternly stiffly stubbornly swiftly tenderly timidly tirelessly warmly wearily wildly
wisely
"""

MOVES = """
walk run hurry climb wander march skip hop creep ride stroll limp race dash rush trudge tiptoe scramble gallop stagger
stumble crawl jog roam stride scurry strut shuffle sneak wade hike amble bounce dance plod prance ramble saunter
scamper sprint tramp trot waddle
"""

WORKS = """
sweep_the_yard feed_the_hens milk_the_cows bake_bread chop_wood fetch_water pick_berries mend_nets sew_shirts
paint_fences plant_beans water_the_roses wash_the_windows dig_potatoes collect_eggs gather_mushrooms carve_spoons
weave_baskets knit_stockings draw_maps read_poems write_letters sing_ballads play_chess catch_fish fly_kites
build_sandcastles count_the_stars watch_the_clouds polish_the_silver iron_the_sheets stack_the_logs grind_the_corn
shear_the_sheep brush_the_ponies clean_the_chimney light_the_lamps ring_the_bells wind_the_clocks sort_the_buttons
dry_the_dishes peel_onions boil_jam churn_butter press_apples dance_jigs tell_riddles learn_spells collect_stamps
chase_butterflies study_beetles repair_bicycles sharpen_knives deliver_parcels tame_falcons train_puppies
invent_machines whistle_tunes trim_the_hedges rake_the_leaves shovel_snow guard_the_gate row_the_boat steer_the_barge
juggle_plates solve_puzzles practise_scales memorise_poems recite_rhymes compose_songs measure_shadows
"""

VOICES = """
say whisper shout call answer cry laugh sigh mutter explain declare exclaim murmur grumble giggle announce reply
suggest admit warn promise insist mumble chuckle remark observe confess plead beg boast gasp groan
"""

FURNITURE = """
table bed chair bench cupboard wardrobe sofa stove oven fireplace bookshelf desk window door staircase chest rug
armchair stool sink washtub woodpile haystack hedge fence gate wall oak willow apple_tree rosebush blackberry_bush
pine birch stump log boulder rock wagon_wheel water_trough manger compost_heap scarecrow beehive_stand garden_shed
rain_barrel doorstep doormat porch balcony chimney gutter mailbox lamppost signpost milestone statue_base well_bucket
birdbath sandpit swing seesaw trapdoor coal_bin bread_bin flour_sack laundry_basket piano grandfather_clock birdhouse
"""

WHERE = "behind under beside near inside beneath beyond above opposite"

PLANTS = """
rose daisy tulip buttercup poppy daffodil sunflower bluebell violet lily thistle nettle fern clover dandelion foxglove
primrose snowdrop marigold lavender_bush heather_clump iris orchid pansy geranium hollyhock cornflower elm maple beech
chestnut_tree poplar cedar spruce juniper hawthorn hazel_bush elder_bush rowan cypress
"""

VIRTUES = """
patience kindness honesty courage friendship hope love wisdom trust generosity work truth laughter forgiveness
gratitude modesty loyalty curiosity care practice gentleness perseverance imagination fairness humility politeness
diligence sincerity tolerance sympathy
"""

TREASURES = """
gold silver money fame power beauty speed strength cleverness luck riches jewels pride silk honour comfort glory
applause magic cunning victory revenge splendour
"""

FEATS = """
race song riddle baking dancing swimming sewing painting wrestling rowing jumping spelling cooking fishing singing
drumming climbing juggling archery sledging gardening knitting storytelling whistling skating sailing kite_flying
chess snowball stone_skipping tug_of_war
"""

KINDS = {
    "child": ("person", CHILDREN),
    "person": ("person", PEOPLE),
    "animal": ("n", ANIMALS),
    "thing": ("noun", THINGS),
    "place": ("noun", PLACES),
    "town": ("name", TOWNS),
    "food": ("noun", FOODS),
    "colour": ("quality", COLOURS),
    "look": ("quality", LOOKS),
    "taste": ("quality", TASTES),
    "air": ("quality", AIRS),
    "surname": ("name", SURNAMES),
    "mood": ("quality", MOODS),
    "nature": ("quality", NATURES),
    "weather": ("quality", WEATHERS),
    "time": ("name", TIMES),
    "day": ("name", DAYS),
    "number": ("quality", NUMBERS),
    "manner": ("quality", MANNERS),
    "move": ("verb", MOVES),
    "work": ("action", WORKS),
    "voice": ("verb", VOICES),
    "spot": ("noun", FURNITURE),
    "where": ("quality", WHERE),
    "plant": ("noun", PLANTS),
    "virtue": ("quality", VIRTUES),
    "treasure": ("quality", TREASURES),
    "coined": ("name", COINED),
    "feat": ("quality", FEATS),
}
"""Kind of word: how it is inflected, and the list."""
