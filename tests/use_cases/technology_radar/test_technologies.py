"""The catalogue of the technology radar: complete, and without the false hits of everyday English."""

from __future__ import annotations

import csv
from collections import Counter

import pytest

from include.kreislauf.collection.jobs.terms import Matcher
from include.kreislauf.requirements.loading import MAX_BYTES, load_catalogue
from include.kreislauf.settings import ROOT

FILE = ROOT / "include/use_cases/technology_radar/technologies.yaml"
MAP = ROOT.parent / "shared/data/panel/tech_map.csv"
CATALOGUE = load_catalogue(FILE)
BY_NAME = {one.name: one for one in CATALOGUE.technologies}
MATCHER = Matcher(CATALOGUE.technologies)
RENAMED = {"chef": "chef-infra"}
"""Stack Overflow's tag -> its name today."""


@pytest.mark.parametrize("text", [
    "We go to market. Go ahead and apply! Let's Go. A real Go-getter, on the Go. Go to our careers page; Pokémon Go",
    "American Express, Express interest by mail, Express your ideas, PCI-Express, express delivery, Express Scripts",
    "a swift response, Swift response, Taylor Swift, Swift Navigation is hiring, OpenStack Swift",
    "Spring 2018, Spring '18, spring 2019, Colorado Springs, Silver Spring, MD; in the Spring; Spring/Summer internships",
    "our R&D team, R & D, Toys R Us, an R+D lab",
    "a Series C company in Washington, D.C.; C-level, C-suite, C corp, our Series B/C",
    "Head Chef, Chef-prepared lunches, a personal chef",
    "General Assembly; assembly line, Assembly Technicians",
    "Contact Julia Miller? Email Julia. Hi Julia",
    "the backbone of our network, Internet Backbone",
    "react to changes, off the rails, rust belt, sock puppet, Vitamin D3, The Great Gatsby, electron beam",
    "Processing payments, natural language processing, a meteor shower, airflow in data centres, tailwind",
    "a single node, every node of the cluster, bug bash, dart board, groovy people",
    "javelin, scalable, rubysoft, goto, pythonic, expressive, reactive, swiftly, kubernetesish",
])  # fmt: skip
def test_everyday_english_names_no_technology(text: str) -> None:
    assert MATCHER.find(text) == set()


@pytest.mark.parametrize(("text", "named"), [
    ("Stack: Go, Python and Express.js on Node", "go python express nodejs"),
    ("We write Go. Golang (Go) it is; Go/Rust", "go rust"),
    ("built with Express, Koa", "express"),
    ("iOS: Swift/Objective-C; Android: Kotlin", "swift objective-c kotlin"),
    ("Java 8, Spring Boot, spring mvc; Spring, Hibernate in Spring 2018", "java spring"),
    ("R, Python3 and Matlab", "r python matlab"),
    ("C/C++, C#, F#; Embedded C", "c cpp csharp fsharp"),
    ("Ruby on Rails, RoR with Postgres & Redis", "ruby rails postgresql redis"),
    ("React, Redux; React Native; AngularJS, Angular2, Vue.js", "react react-native angular vue"),
    ("React-Native only", "react-native"),
    ("Next.js/Nuxt, D3.js, jQuery, ES6, Node.JS", "nextjs nuxt d3 jquery javascript nodejs"),
    ("K8s, Docker, Chef, Puppet, Terraform, Ansible", "kubernetes docker chef puppet terraform ansible"),
    ("Apache Kafka, Elastic Search, Mongo, MySQL", "kafka elasticsearch mongodb mysql"),
    ("x86 assembly, OCaml, Haskell, CoffeeScript", "assembly ocaml haskell coffeescript"),
    ("Airflow, TensorFlow, PyTorch, Keras, pandas, numpy", "airflow tensorflow pytorch keras pandas numpy"),
])  # fmt: skip
def test_real_mentions_are_found(text: str, named: str) -> None:
    assert MATCHER.find(text) == set(named.split())


def test_every_technology_is_found_by_each_of_its_own_terms() -> None:
    for one in CATALOGUE.technologies:
        assert one.terms
        for term in one.terms:
            assert one.name in MATCHER.find(f"({term.text}), "), term.text


def test_a_name_in_a_source_belongs_to_one_technology() -> None:
    for field in ("languages", "repositories", "topics", "tags"):
        per_technology = [{name.lower() for name in getattr(one, field)} for one in CATALOGUE.technologies]
        names = Counter(name for some in per_technology for name in some)
        assert [name for name, number in names.items() if number > 1] == []
    terms = Counter(term.text.lower() for one in CATALOGUE.technologies for term in one.terms)
    assert max(terms.values()) == 1


def test_what_is_counted_by_language_has_one_and_the_rest_a_repository() -> None:
    for one in CATALOGUE.technologies:
        assert bool(one.languages) == (one.kind == "language")
        assert one.kind == "language" or one.repositories
        assert one.tags
        assert all(repository.count("/") == 1 for repository in one.repositories)


def test_the_file_is_small_enough_for_a_contract() -> None:
    assert FILE.stat().st_size < MAX_BYTES


@pytest.mark.skipif(not MAP.exists(), reason="the recorded data (../shared/data) are not here")
def test_the_catalogue_covers_the_recorded_panel() -> None:
    with MAP.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["tech"] for row in rows} == BY_NAME.keys()
    for row in rows:
        one = BY_NAME[row["tech"]]
        assert one.kind == row["kind"]
        assert {row["githut_language"]} - {""} <= set(one.languages)
        tags = [row["so_tag"]] if row["tech"] == "cpp" else row["so_tag"].split("+")
        assert {RENAMED.get(tag, tag) for tag in tags if tag} <= set(one.tags)
        repositories = {name.lower() for name in row["github_repo"].split("+") if name}
        assert repositories <= {name.lower() for name in one.repositories}
        assert MATCHER.find(row["hn_term"]) == {one.name}
