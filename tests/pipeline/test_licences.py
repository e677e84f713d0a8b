"""What people write for a licence becomes its SPDX id, and what upstream does not take is told with the reason."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Problem
from pipeline.licences import ALLOWED, normal, problem
from tests.pipeline import oracle

SPELLINGS = {
    "Apache-2.0": (
        "Apache 2.0|apache license, version 2.0|ASL 2|Apache2|Apache License 2.0|Apache Software License v2|APACHE-2.0 license."
        "|https://www.apache.org/licenses/LICENSE-2.0.txt|https://opensource.org/license/apache-2-0|http://spdx.org/licenses/Apache-2.0.html"
    ),
    "MIT": "MIT License|the MIT licence|mit|Expat|https://opensource.org/licenses/MIT|https://choosealicense.com/licenses/mit/",
    "CC-BY-4.0": (
        "CC BY 4|cc-by 4.0|CC_BY_v4.0|Attribution 4.0 International"
        "|Creative Commons Attribution 4.0 International Public License"
    ),
    "CC-BY-SA-4.0": (
        "CC BY SA 4|CC BY-SA 4.0|ccbysa4|by-sa 4.0|CC-BY-SA-4-0|Creative Commons Attribution-ShareAlike 4.0 International"
        "|Creative Commons Attribution Share Alike License v4.0|https://creativecommons.org/licenses/by-sa/4.0/deed.en"
        "|creativecommons.org/licenses/by-sa/4.0|http://creativecommons.org/licenses/by-sa/4.0/legalcode"
    ),
    "CC0-1.0": (
        "CC0|cc zero|CC-0|CC0 1.0 Universal|Creative Commons Zero v1.0 Universal|https://creativecommons.org/publicdomain/zero/1.0/"
    ),
    "CDLA-Permissive-2.0": (
        "cdla permissive 2|Community Data License Agreement Permissive 2.0"
        "|Community Data License Agreement - Permissive - Version 2.0|https://cdla.dev/permissive-2-0/"
    ),
    "Public domain": (
        "PD|public domain|Public-Domain|in the public domain|Public domain in the USA."
        "|Public Domain Mark 1.0|https://creativecommons.org/publicdomain/mark/1.0/deed.de"
    ),
    "CC-BY-SA-3.0": "CC-BY-SA-3.0|cc by sa 3.0 unported|https://creativecommons.org/licenses/by-sa/3.0/",
    "CC-BY-SA-3.0-DE": "CC BY-SA 3.0 DE|https://creativecommons.org/licenses/by-sa/3.0/de/deed.en",
    "CC-BY-NC-SA-4.0": "CC BY-NC-SA 4.0|Creative Commons Attribution-NonCommercial-ShareAlike 4.0|cc by sa nc 4",
    "CC-BY-NC-ND-4.0": "CC BY-NC-ND 4.0|Attribution-NonCommercial-NoDerivatives 4.0 International|CC BY-NC-NoDerivs 4.0",
    "GPL-3.0-only": "GPLv3|GNU GPL v3|GNU General Public License v3.0|https://www.gnu.org/licenses/gpl-3.0.en.html|gpl-3.0-only",
    "GPL-2.0-or-later": "GPLv2+|GPL 2.0 or later|GNU General Public License, version 2 or any later version",
    "LGPL-2.1-only": "LGPL 2.1|GNU Lesser General Public License v2.1",
    "GFDL-1.3": "GFDL 1.3|GNU Free Documentation License 1.3|https://www.gnu.org/licenses/fdl-1.3.html",
    "All rights reserved": (
        "All Rights Reserved|ALL RIGHTS reserved.|© All rights reserved|Copyright (c), all rights reserved|proprietary"
    ),
}


@pytest.mark.parametrize(("wanted", "typed"), [(one, typed) for one, many in SPELLINGS.items() for typed in many.split("|")])
def test_what_people_write_becomes_the_id(wanted: str, typed: str) -> None:
    assert normal(f"  {typed}\n") == wanted


@pytest.mark.parametrize(
    "typed",
    "|NaN|FULL|ABCD|BSD|Apache|cc by sa|CC BY-SA 5.0|GFDL|GPL|not MIT|no CC0|MIT or GPL|Apache-2.0 AND MIT|MIT 2|CC0 2.0"
    "|CC BY-SA 4.0 DE|CC|Creative Commons|by|sa 4.0|Springer|CC BY-SA 4.0, GFDL|МIT|CC BY 4.0.1|CC BY 3.0 4.0|OGL-UK-3.0".split(
        "|"
    ),
)
def test_what_has_no_one_meaning_is_left_as_typed(typed: str) -> None:
    assert normal(f" {typed} ") == typed


def told(licence: str) -> tuple[str, dict[str, str]] | None:
    found = problem(licence)
    return (found.code.removeprefix("licence."), dict(found.facts)) if found else None


ALL = "Apache-2.0, MIT, CC-BY-4.0, CC-BY-SA-4.0, CC0-1.0, CDLA-Permissive-2.0, Public domain"


@pytest.mark.parametrize(
    ("licence", "code", "facts"),
    [
        ("NaN", "unknown", {"licence": "NaN", "allowed": ALL}),
        ("", "unknown", {"licence": "", "allowed": ALL}),
        ("BSD-3-Clause", "unknown", {"licence": "BSD-3-Clause", "allowed": ALL}),
        ("MIT 2", "unknown", {"licence": "MIT 2", "allowed": ALL}),
        ("cc by sa", "version", {"licence": "cc by sa", "family": "CC-BY-SA", "allowed": "CC-BY-SA-4.0"}),
        ("CC-BY", "version", {"licence": "CC-BY", "family": "CC-BY", "allowed": "CC-BY-4.0"}),
        ("CC BY-SA 5.0", "version", {"licence": "CC BY-SA 5.0", "family": "CC-BY-SA", "allowed": "CC-BY-SA-4.0"}),
        ("Apache", "version", {"licence": "Apache", "family": "Apache", "allowed": "Apache-2.0"}),
        ("CDLA", "version", {"licence": "CDLA", "family": "CDLA", "allowed": "CDLA-Permissive-2.0"}),
        (
            "Creative Commons",
            "version",
            {"licence": "Creative Commons", "family": "Creative Commons", "allowed": "CC-BY-4.0, CC-BY-SA-4.0, CC0-1.0"},
        ),
        ("cc by sa 3", "old", {"licence": "CC-BY-SA-3.0", "family": "CC-BY-SA", "allowed": "CC-BY-SA-4.0"}),
        ("CC BY-SA 3.0 DE", "old", {"licence": "CC-BY-SA-3.0-DE", "family": "CC-BY-SA", "allowed": "CC-BY-SA-4.0"}),
        ("Apache 1.1", "old", {"licence": "Apache-1.1", "family": "Apache", "allowed": "Apache-2.0"}),
        ("CC BY-NC-SA 4.0", "noncommercial", {"licence": "CC-BY-NC-SA-4.0", "allowed": ALL}),
        ("cc by-nc", "noncommercial", {"licence": "cc by-nc", "allowed": ALL}),
        ("CC BY-NC-ND 3.0", "noncommercial", {"licence": "CC-BY-NC-ND-3.0", "allowed": ALL}),
        ("CC BY-ND 4.0", "noderivatives", {"licence": "CC-BY-ND-4.0", "allowed": ALL}),
        ("GPLv3", "copyleft", {"licence": "GPL-3.0-only", "allowed": ALL}),
        ("GFDL", "copyleft", {"licence": "GFDL", "allowed": ALL}),
        ("ODbL", "copyleft", {"licence": "ODbL-1.0", "allowed": ALL}),
        ("All Rights Reserved", "closed", {"licence": "All rights reserved", "allowed": ALL}),
        (
            "© 2023 Example Press. All rights reserved.",
            "closed",
            {"licence": "© 2023 Example Press. All rights reserved.", "allowed": ALL},
        ),
    ],
)
def test_what_upstream_does_not_take_is_told_with_its_reason(licence: str, code: str, facts: dict[str, str]) -> None:
    assert told(licence) == (code, facts)


def test_a_problem_is_whole_sentences_at_its_place() -> None:
    assert problem("cc by sa", "works[2].licence") == Problem(
        "licence.version",
        "The taxonomy takes CC-BY-SA as CC-BY-SA-4.0 only, and 'cc by sa' does not say so.",
        "works[2].licence",
        "Look up which one the work has.",
        {"licence": "cc by sa", "allowed": "CC-BY-SA-4.0", "family": "CC-BY-SA"},
    )


@pytest.mark.parametrize("licence", ALLOWED)
def test_what_upstream_takes_has_no_problem(licence: str) -> None:
    assert problem(licence) is None


@given(st.sampled_from(ALLOWED), st.randoms(use_true_random=False), st.sampled_from(("-", " ", "_", "  ", " - ", "")))
def test_an_allowed_id_is_itself_in_any_case_spacing_and_hyphenation(licence: str, chance: random.Random, between: str) -> None:
    cased = "".join(chance.choice((letter.lower(), letter.upper())) for letter in re.sub("[- ]", between, licence))

    assert normal(f" {cased} ") == licence


PIECES = st.sampled_from(
    "cc|by|sa|nc|nd|4.0|3.0|4|2|0|zero|mit|apache|gpl|v|+|or|later|only|license|public|domain|mark|https://creativecommons.org/"
    "|licenses/|deed.en|cdla|permissive|attribution|share|alike|-|_|,|.|(|de|all|rights|reserved|".split("|")
)


@given(st.text(max_size=60) | st.text(max_size=1).map(lambda one: one * 5000) | st.lists(PIECES, max_size=9).map(" ".join))
def test_any_text_becomes_a_fixed_point_and_is_judged(typed: str) -> None:
    once = normal(typed)
    found = problem(typed)

    assert normal(once) == once
    assert (found is None) == (once in ALLOWED)
    assert found is None or (found.facts["licence"] == once and found.message.endswith(".") and found.fix.endswith("."))


@pytest.mark.skipif(not oracle.SHARED.is_dir(), reason="the reference files lie in ../shared, which is not here")
def test_every_licence_of_the_reference_files_is_known() -> None:
    line = re.compile(r"^licen[sc]e of the work: *(.*)$", re.I | re.M)
    files = sorted(oracle.SHARED.rglob("attribution.txt"))
    written = {one for path in files for one in line.findall(path.read_text(encoding="utf-8"))}

    assert {normal(one) for one in written} == {"Apache-2.0", "CC-BY-SA-4.0", "CC-BY-NC-SA-4.0", "Public domain"}
