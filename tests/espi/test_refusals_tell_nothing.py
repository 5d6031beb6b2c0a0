"""Why a file was refused is told without what stands in the file: the reason is stored, logged and mailed."""

from io import BytesIO

import pytest

from espi import atom, parse

NAME = "Ann Other"
FEED = '<feed xmlns="http://www.w3.org/2005/Atom">'


@pytest.mark.parametrize(
    "body",
    [
        f"{FEED}<![CDATA[{NAME}",
        f"{FEED}<!-- {NAME} -- and more --></feed>",
        f"{FEED}<!-- {NAME}",
        f"{FEED}<title>{NAME}</titl></feed>",
        f"{FEED}<title said={NAME}></title></feed>",
        f"{FEED}<title>{NAME} & others</title></feed>",
        NAME,
    ],
    ids=["CDATA", "comment", "open comment", "end tag", "attribute", "ampersand", "no XML"],
)
def test_the_reason_repeats_nothing_of_the_file(body):
    with pytest.raises(atom.DocumentRefused) as refusal:
        list(parse.read(BytesIO(body.encode())))
    assert NAME not in str(refusal.value)
