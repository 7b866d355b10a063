"""Words that may be the name of a technology which the catalogue does not have yet.

Advertisements name technologies in lists and between capitals, beside cities, roles and companies. What is told apart
here is told cheaply; the rest is left to the search for emerging technologies, which asks for growth in other sources
as well.
"""

from __future__ import annotations

import re
from collections.abc import Collection

MAX_LENGTH = 30
_ADDRESS = re.compile(r"(?<!\S)\S*(?:://|www\.|@)\S*")
_NAME = r"[A-Za-z][A-Za-z0-9]*(?:[.+#-]+[A-Za-z0-9]+)*(?:\+\+|[+#](?!\w))?"
_CAPITAL = rf"(?:(?<=[\w,;:)&|] )|(?<=[/(,|]))(?=[A-Z]){_NAME}"
_MARKED = rf"(?=[A-Za-z]+(?:[0-9]|[.+#-]+[A-Za-z]*[0-9]|[.][A-Za-z]|[+#]|[a-z][A-Z])){_NAME}"
_LISTED = rf"(?:(?<=, )|(?<=[/,])){_NAME}(?=[,/])"
# what all three have in common comes first: most places of a text fail there
_CANDIDATE = re.compile(rf"(?<![\w.+#-])(?=[A-Za-z])(?:{_CAPITAL}|{_MARKED}|{_LISTED})")
_VERSION = re.compile(r"(?<=[a-z+#])-?[0-9.]+$")
_DOMAINS = (".com", ".org", ".edu", ".gov", ".co", ".de", ".uk", ".eu", ".fr", ".nl", ".ca", ".html", ".pdf")


def candidate_terms(text: str, known: Collection[str]) -> set[str]:
    """Words of a plain text that look like a technology's name, in lower case, each once.

    A word is a letter, then letters and digits, joined by ``.``, ``+``, ``#`` or ``-``; 2 to 30 characters. It is a
    candidate where it is

    - written with a capital inside a sentence, a list or a title (Deno), or with one after a small letter (GraphQL),
    - or holds a digit, ``+``, ``#``, or a full stop inside (web3, c++, socket.io),
    - or stands between two commas or slashes (react, htmx, vue),

    and is no everyday word of advertisements (:data:`EVERYDAY`), address, or known term with a version (python3).

    Parameters
    ----------
    known: terms that are not wanted, in lower case.
    """
    words = {word.lower() for word in _CANDIDATE.findall(_ADDRESS.sub(" ", text))}
    return {
        word
        for word in words - EVERYDAY
        if 2 <= len(word) <= MAX_LENGTH
        and word not in known
        and not word.endswith(_DOMAINS)
        and _VERSION.sub("", word) not in known
    }


_WORDS = """
a ability about above account across ads after agile ai al all also alto always am amazing amazon an
analysis analyst analytics and angeles any api apis app application applications apply applying apps april
architect are area areas as asap assistant associate at august austin bachelor bachelors back back-end
backed backend background based bay be because become been before being benefits berlin best better big
bonus boston both bring brooklyn bs bsc build building built business but by c.v ca california call
cambridge can canada candidate candidates capital career careers cat cd ceo challenges check chicago chief
china city cloud co co-founder code coding collaborate com combinator come communication companies company
compensation competitive compliance computer consultant consulting contact content contract contractor
contribute core cover cpo create creative cs cto culture current currently customer customers cv d.c daily
data date day days december degree deliver dental denver department deploy description design designer
designers desk developer developers developing development devops did director distributed do does doing
dollars don't drive due e.g each early easy education email embedded employee employees end engineer
engineering engineers english enterprise entrepreneurial environment equal equity et etc europe european
even every excellent exciting experience experienced expert expertise fast february field finance financial
find fintech first flexible floor focus following for founded founder founders francisco free friday
friendly from front front-end frontend full full-stack full-time fulltime fun funded funding game games
general get give global gmbh good google graduate great green group grow growing growth h1-b h1b h1b1 h1bs
hack hacker hackers had hands-on happy hardware has have he head health healthcare hello help her here hey
hi high higher hire hiring his hn home hour hours house how hq hr i i'd i'm i.e idea ideas if important in
inc inc. include includes including individual industry infrastructure innovative insurance integration
intelligence interest interested interesting intern international internet interns internship internships
interview into investors ip is israel it its january job jobs join json july june junior just k key kingdom
know knowledge lab labs language languages large lead leader leaders leading learn learning level life like
linkedin live local location locations logistics london long look looking los love ltd ma machine major make
making manage management manager managers manhattan many march marketing master masters match math may me
media medical meet mentor mentoring mid million mobile modern monday month months more most motivated
mountain ms much multiple must my native natural need needs net network networks new next nice ninja no
north not november now ny nyc oakland october of off offer offers office officer offices on on-site one
online only onsite open open-source opening openings operations opportunities opportunity or organization
other others our out over own owner pa paid palo paris part part-time partner partners passion passionate
paul pay payments people per performance perks permanent person ph phd phone physical place plan platform
platforms please plus pm points portland position positions post potential power practices preferred pretty
principal pro problem problems processing product production products professional program programmer
programmers programming project projects provide pst pto public qa quality quickly range re read real
real-time really recent regular relevant relocation remote remote-friendly report required requirements
research resources responsibilities responsible resume retail revenue right role roles rsu run saas salary
sales same san santa scale science scientist scientists scrum search seattle security see seed seeking
self-starter send senior september series server service services several sf share she should similar since
site skill skills small smart so social software solid solution solutions solve some someone soon south
speak spring sr sre st stack staff startup startups state states stealth still stock store strategy street
strong student students style subject summer super support sure sw system systems take talented team teams
tech technical technologies technology test tester testing texas than thank thanks that the their them then
there these they thing things think this those through thursday time title to today together tokyo tool
tools top toronto total training travel tuesday two type u.k u.s u.s.a ui ui/ux uk understanding unique
united university unlimited up us usa use used user users using ux va vacation valid valley value values
vancouver variety various vc vcs venture ventures very via vice video view visa vision visit vp wa want
washington way we web website wednesday week weekly weeks welcome well what when where which while who why
will windows with within without work working world would write writing yc yc-backed ycombinator year years
yes york you you'll your zone
"""
EVERYDAY = frozenset(_WORDS.split())
"""Words that nearly every thread of advertisements has, and that name no technology to be found."""
