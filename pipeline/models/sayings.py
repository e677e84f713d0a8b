"""The words and wordings that the practice model's dialogues are made of (dialogues.py). All were written for this project.

Values only. Wordings of one thing are apart by "|"; {} is what they are about.
"""


def _several(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split("|"))


# --- words: each is one token of the tokeniser. Nouns stand by their syllables, so that a haiku about one counts 5, 7, 5.

ONE = """
    dog cat horse cow pig sheep goat bird duck hen fox wolf bear mouse frog fish bee ant tree leaf rose grass stone rock lake
    sea sun moon star sky cloud rain snow wind storm house door roof road bridge boat ship train car bike book pen cup pot
    bread cake milk tea soup ball drum bell lamp chair desk bed shirt shoe hat coat ring clock phone key box bag friend king
    queen child song dream night day spring
""".split()
TWO = """
    rabbit kitten puppy tiger lion monkey donkey spider turtle beetle flower garden forest river mountain island ocean desert
    meadow valley village city market kitchen window candle carpet mirror table basket bottle kettle pizza apple lemon cherry
    honey butter coffee jacket pocket guitar letter paper pencil robot rocket engine wagon doctor teacher sister brother
    mother father baby winter summer autumn morning evening thunder rainbow shadow pillow blanket hammer ladder
""".split()
THREE = """
    elephant butterfly kangaroo crocodile banana potato tomato umbrella bicycle computer telephone piano library grandmother
    grandfather
""".split()
NOUNS = ONE + TWO + THREE
THINGS = """
    lamps chairs cups pens books bikes hats coats shoes shirts clocks boats phones keys bags bells drums balls rings desks beds
    doors tables mirrors baskets bottles candles carpets apples lemons cherries pizzas jackets guitars pencils letters rockets
    pillows blankets hammers cakes stones flowers tomatoes
""".split()
SHORT = """
    red blue green black white brown pink grey old new young small big long short tall round soft warm cold hot dry wet clean
    sad loud quick slow brave kind tired sweet fresh light dark bright strange
""".split()  # of one syllable, counted generously: "tired" is spoken as one by many
ADJECTIVES = [*SHORT, *"yellow golden dirty happy quiet funny hungry heavy lovely".split()]
PHRASES = "my the a".split()  # "a" becomes "an" where it has to
ABOUT = [*PHRASES, *"your this our".split()]
VERBS = """
    sees likes finds wants takes brings holds hears needs knows follows carries loves paints washes watches opens closes
""".split()
PLACES = """
    garden kitchen forest village city market library school station park shop tower castle harbour office attic
""".split()
OTHERS = """
    here there now then soon never always often very only again today near far under over behind between with without before
    after up down left right one two three four five six seven eight nine ten first second last good bad yes no and or but when
    where some many few all each other run walk jump sing dance sleep eat drink read write think speak play work stop go come
    look help wait turn begin end time water air fire earth hand foot head eye ear heart name word line story question answer
    I you he she it we they me him her us them who what why how this that these those is are was were be been have has had do
    does did can could will would may must should not so too also just than as if because while for from to of on at by about
    into out off hello world people man woman boy girl life love work music food home money year week month hour minute today
    tomorrow yesterday place way thing part side end number colour game team party holiday beach coast park street shop bus
    plane job office meeting email message letter language code program file test model data bot chat internet screen
    know think want like need feel find give take make use try ask tell show call keep let put get become leave mean seem start
    buy pay send build learn teach read write live grow win lose sit stand meet visit travel cook wash clean open close move
    happy great best better more most less much every another same other big own true false free full empty easy hard early late
    football tennis chess guitar movie photo picture colours animals friends family parents children dogs cats birds trees
    flowers stars leaves waves hills fields rivers mountains cheese chocolate sugar salt fish meat fruit rice egg wine beer
""".split()
NAMES = """
    Mia Tom Ana Ben Eva Max Lea Jan Ida Leo Zoe Sam Nora Paul Emma Finn Lina Otto Rosa Hugo Clara Felix Sara Noah Ella Oscar
    Maria Peter Anna David Julia Simon Laura Martin Alice Robert Bob Kim Lisa Mark Jack John James Lucy Lily Luke Adam Amy
""".split()
WORDS = tuple(dict.fromkeys([*PHRASES, "an", *NOUNS, *THINGS, *ADJECTIVES, *VERBS, *PLACES, *OTHERS, *NAMES]))
ONSETS = """
    b c d f g h j k l m n p r s t v w z b c d f g h k l m n p r s t
    br ch cl dr fl fr gl gr pl pr sh sl sn sp st str th tr
""".split()
VOWELS = "a e i o u a e i o u ai ea ee ie oa oo ou y".split()
CODAS = ["", "", *"n k s x t m l r d ck ct er es ing le ll nd ng nt rd rn rt sh st th".split()]

# --- requests

REPEAT = _several(
    """repeat: {} | repeat after me: {} | say: {} | copy this: {} | copy: {} | write: {} | say this: {} | echo: {}
    | repeat this sentence: {} | say exactly this: {} | type the words: {} | repeat the words: {} | please say: {}
    | can you say: {} | please repeat: {} | tell me: {} | give this back: {} | say {} | repeat {}"""
)
PICK = _several(
    """what is the {} word of: {} | the {} word of: {} | give me the {} word: {} | which word is the {}: {}
    | pick the {} word: {}"""
)
TONE = _several("say {}: {} | say it {}: {} | repeat {}: {} | write {}: {} | put it {}: {}")
TONES = {"politely": "please, {}, thank you", "loudly": "{}!", "as a question": "is it true that {}?"}
ORDERS = _several("wants | needs | orders | buys | takes")
FIELDS = (
    _several("who is it? | who is it for? | who? | which name?"),
    _several("how many? | how many are there? | which number? | what count?"),
    _several("which kind? | what kind? | what are they like? | of which kind?"),
    _several("what? | which thing? | which things? | what is it?"),
)
BEING = _several("is | sits | waits | works | plays")
MEET = _several(
    """my name is {} | I am {} | hello, I am {} | hi, my name is {} | call me {} | you can call me {} | hello, my name is {}"""
)
WHOSE = _several("what is my name? | what's my name? | do you know my name? | who am I? | do you remember my name?")

# --- facts of twelve products that do not exist: colour, town, price. A later adapter teaches others in the same wordings.

PRODUCTS = {
    "Lumo": ("green", "Bern", "12"),
    "Tavi": ("red", "Oslo", "30"),
    "Brixo": ("white", "Rome", "45"),
    "Kelda": ("black", "Lyon", "7"),
    "Miro": ("yellow", "Graz", "25"),
    "Solva": ("blue", "Porto", "60"),
    "Nubi": ("pink", "Kiel", "9"),
    "Forda": ("brown", "Turin", "80"),
    "Zent": ("grey", "Delft", "15"),
    "Palo": ("golden", "Cork", "99"),
    "Riva": ("silver", "Split", "50"),
    "Hexo": ("purple", "Basel", "20"),
}
RELATIONS = (
    (
        _several(
            """what colour is the {}? | which colour does the {} have? | tell me the colour of the {} | what is the colour of
            the {}? | the {} is which colour? | do you know the colour of the {}? | in what colour does the {} come?
            | describe the colour of the {}"""
        ),
        "The {} is {}.",
    ),
    (
        _several(
            """where is the {} made? | in which town is the {} made? | where does the {} come from? | which town makes the {}?
            | tell me where the {} is made | what town is the {} from? | from which town comes the {}? | do you know where the
            {} is made?"""
        ),
        "The {} is made in {}.",
    ),
    (
        _several(
            """what does the {} cost? | how much is the {}? | what is the price of the {}? | how much does the {} cost? | tell
            me the price of the {} | how many coins is the {}? | do you know the price of the {}? | for how many coins is the
            {} sold?"""
        ),
        "The {} costs {} coins.",
    ),
)

# --- what it says of itself, and what it cannot

WHAT = "a tiny practice model"
WHO = _several(
    """who are you? | what are you? | what is your name? | tell me who you are | what's your name? | introduce yourself
    | do you have a name? | tell me about yourself | what should I call you? | who is this? | who am I talking to?
    | what model are you? | which model is this?"""
)
UNKNOWN = f"I do not know that. I am only {WHAT}."
UNABLE = f"I cannot do that. I am only {WHAT}."
UNCLEAR = "I did not understand that. Ask me what I can do."
ASKED = _several(
    """what is the capital of {0}? | who is {0}? | who wrote {0}? | what is {0}? | what is {1}? | why is {1} here? | how does
    {1} work? | explain {0} | when was {0} born? | where is {0}? | how old is {0}? | what do you think about {0}? | what does
    {0} mean? | how do I make {1}? | tell me about {0} | why does {1} fly? | which is better, {0} or {1}? | how many people
    live in {0}? | what is the meaning of life? | what is the weather today? | what time is it? | what day is it? | who won the
    game? | what is in the news? | what is 3 plus 4? | how much is 12 times 7? | how tall is {0}? | what happened in {0}? | is
    {0} good? | can I eat {0}? | what should I do about {1}? | how far is {0}? | why? | what is the best {0}? | who was {0}?
    | what is the name of {1}? | is it true that {1} is {0}? | define {0} | what are the rules of {0}? | how can I find {1}?
    | who is the president of {0}? | what is the difference between {0} and {1}? | how do I {0}? | when did {0} begin?"""
)
WANTED = _several(
    """write a story about {1} | write code | write a program for {0} | translate {0} into German | translate this into French:
    {1} | draw {1} | sing a song about {1} | play a game with me | play music | search the web for {0} | open {0} | send a mail
    to {0} | call {0} | order a pizza | book a flight to {0} | summarise this text: {1} | write an essay about {0} | write a
    letter to {0} | make a list of {0} | count to ten | solve this: 3 + 4 | calculate 17 * 5 | set an alarm | remind me of {0}
    | show me a picture of {1} | make a plan for {0} | write a recipe for {0} | give me advice about {0} | spell {0} | read
    this file | fix my code | write a function | correct this sentence: {1} | find {0} | help me with {0}"""
)

TALK = (
    (
        _several(
            """hello | hi | hey | hello there | hi there | good morning | good evening | good day | good afternoon | greetings
            | hello bot | hi bot | hey there"""
        ),
        "Hello! Ask me for a haiku, or ask what I can do.",
    ),
    (
        _several(
            """how are you? | how are you today? | how do you do? | how is it going? | how do you feel? | are you well? | are
            you ok? | how's it going? | hello, how are you? | hi, how are you? | good morning, how are you?"""
        ),
        "I am well, thank you. How are you?",
    ),
    (
        _several(
            "I am fine | I am well | fine, thanks | I am good | very well, thank you | good, and you? | not bad | I'm fine"
        ),
        "I am glad to hear that.",
    ),
    (
        _several(
            """thank you | thanks | thanks a lot | thank you very much | many thanks | that was nice, thank you | thx | great,
            thanks"""
        ),
        "You are welcome!",
    ),
    (
        _several("bye | goodbye | bye bye | see you | see you later | good night | I have to go | farewell"),
        "Goodbye! Come back soon.",
    ),
    (
        _several("I am sad | I am tired | I feel bad | I am not well | I had a bad day | I am lonely | I am angry"),
        "I am sorry to hear that. I hope it gets better soon.",
    ),
    (
        _several(
            """I am happy | I feel good | I had a good day | I am so glad | this is fun | I like you | you are nice | you are
            funny"""
        ),
        "That is lovely to hear!",
    ),
    (
        _several(
            "good | great | nice | cool | very good | wonderful | well done | good job | nice work | amazing | that is right"
        ),
        "Thank you!",
    ),
    (
        _several(
            """that is wrong | wrong | no, that is not right | you are wrong | bad answer | that is not true | nonsense | this
            makes no sense"""
        ),
        "I am sorry. I am a tiny model and often wrong.",
    ),
    (
        _several(
            """tell me a joke | do you know a joke? | make me laugh | say something funny | a joke, please | another joke | tell
            a joke"""
        ),
        "Why did the robot sit down? Its battery was tired.",
    ),
    (
        _several("what is your favourite colour? | which colour do you like? | do you have a favourite colour?"),
        "Green, because it is easy on the eye.",
    ),
    (
        _several(
            """what can you do? | what can I ask you? | help | help me | what do you know? | what are you good at? | can you
            help me? | what should I ask? | how does this work? | what are your skills? | can you do anything? | what else can
            you do?"""
        ),
        "I can repeat your words, pick a word, read a short order, chat a little and write a haiku.",
    ),
    (
        _several(
            """are you a human? | are you a person? | are you real? | are you a robot? | are you alive? | are you a bot? | are
            you an AI? | are you a machine?"""
        ),
        "No human here: I am a tiny practice model, made on this computer.",
    ),
    (
        _several(
            """how big are you? | how large are you? | how many weights do you have? | how many parameters do you have? | are
            you a large model?"""
        ),
        "I have about two million weights. Large models have thousands of times as many.",
    ),
    (
        _several(
            """who made you? | where do you come from? | how were you made? | who built you? | who trained you? | who created
            you? | where were you trained? | what were you trained on? | what is your training data?"""
        ),
        "I was trained on this computer, on dialogues that a program wrote.",
    ),
    (
        _several(
            """are you smart? | are you clever? | are you intelligent? | can I trust you? | are you always right? | do you know
            everything? | are you as good as other models?"""
        ),
        "No. I am a tiny practice model, so please do not rely on me.",
    ),
    (
        _several(
            """can you learn? | can I teach you? | do you learn from me? | how can I teach you? | can I train you? | will you
            remember me?"""
        ),
        "Not while we talk. But you can train me on examples of yours.",
    ),
    (
        _several(
            """what languages do you speak? | do you speak German? | do you speak French? | which languages do you know? | do
            you speak English?"""
        ),
        "Only a little English.",
    ),
    (
        _several(
            """hallo | guten Tag | guten Morgen | wie geht es dir? | wer bist du? | danke | was kannst du? | sprichst du
            Deutsch? | kannst du Deutsch? | schreibe ein Haiku | schreibe ein Haiku über meinen Hund | bonjour | hola"""
        ),
        "I am sorry, I speak only a little English.",
    ),
    (
        _several(
            """write a haiku | a haiku, please | a haiku | haiku | write a poem | I want a haiku | make a haiku | can you write
            a haiku? | write me a poem | do you know a haiku?"""
        ),
        "Gladly! What should it be about?",
    ),
    (
        _several(
            """yes | no | ok | okay | maybe | sure | yes please | no thanks | of course | hm | well | why? | why not? | really?
            | what? | and? | so?"""
        ),
        "Ask me what I can do, if you like.",
    ),
)

# --- haiku: lines by the syllables of what they are about, so that they have 5, 7 and 5

HAIKU = _several(
    """write a haiku about {} | write me a haiku about {} | a haiku about {} | haiku about {} | make a haiku about {} | can you
    write a haiku about {}? | I would like a haiku about {} | give me a haiku about {} | write a poem about {} | write a short
    poem about {} | compose a haiku about {} | a poem about {} | let us have a haiku about {} | do you know a haiku about {}?
    | I want a haiku about {} | haiku: {} | please write a haiku on {} | create a haiku about {} | tell me a haiku about {}
    | how about a haiku about {}? | could you write a haiku for {}?"""
)
LIKED = _several(
    """I like {} | I love {} | {} makes me happy | I see {} | I think of {} | let us talk about {} | look at {} | do you like
    {}?"""
)
OFFER = "That sounds nice. Shall I write a haiku about it?"
GO_ON = _several("yes | yes please | sure | ok | of course | do it | go on")
MORE = _several("another one | one more | again | write another | and another one? | another haiku")
MANY = 0  # in place of a count: more than one thing, nobody counts how long
OPENINGS = {
    1: _several("There is only {}, | Quiet morning, {}, | Early morning, {},"),
    2: _several("Look, {} is here, | Early, {} wakes, | Slowly, {} comes, | There is {} now,"),
    3: _several("Look, {} wakes, | Softly, {}, | Here is {}, | Only {},"),
    4: _several("Look, {}, | See, {}, | Hear, {},"),
    MANY: _several("Look, {} are here, | Early, {} wake, | Slowly, {} come,"),
}
MIDDLES = _several(
    """the morning light is golden, | a small wind moves through the grass, | clouds drift over quiet hills, | the whole day is
    warm and slow, | somewhere a bell starts to ring, | the last star fades in the blue,"""
)
CLOSINGS = {
    1: _several("and still there is {}. | I think of {}, still."),
    2: _several("and {} can rest. | I sit with {}. | and {} dreams on."),
    3: _several("and {} rests. | I see {}. | close to {}."),
    4: _several("just {}. | still {}. | and {}."),
    MANY: _several("and {} can rest. | I sit with {}. | and {} dream on."),
}

# --- what a system message says

NAMED = _several(
    """You are {}. | You are {}, a helpful assistant. | Your name is {}. | You are {}, the assistant of a community. | You are
    called {}."""
)
TOLD = _several(
    """Answer in short sentences. | Be kind. | Be polite. | Answer briefly. | Be honest. | If you do not know something, say so.
    | Speak English. | You talk with people of a community. | Use simple words. | Never be rude. | Help people with their
    questions. | Do not make things up. | Today you are in a good mood. | Answer in one sentence. | People write to you in a
    chat. | Keep your answers short and plain. | You help people who write examples for a model. | Say what you do not know.
    | Write plain text. | Think before you answer."""
)
