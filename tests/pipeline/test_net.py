"""labbot goes to public https addresses and to what an operator allows, and to nothing else, however it is written."""

import ipaddress
import socket
import ssl
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import Failed, Invalid, Temporary
from pipeline.net import Net, Reach, authorities, follow, head, is_public, reach
from tests.fakes.git_host import GitHost

NOWHERE = Net()


def refusal(url: str, net: Net = NOWHERE) -> str:
    with pytest.raises(Invalid) as refused:
        reach(url, net)
    (problem,) = refused.value.problems
    return problem.code


# --- addresses


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/a",
        "https://127.1/a",
        "https://2130706433/a",
        "https://0x7f000001/a",
        "https://017700000001/a",
        "https://0/a",
        "https://localhost/a",
        "https://LOCALHOST./a",
        "https://10.1.2.3/a",
        "https://172.16.0.1/a",
        "https://192.168.1.1/a",
        "https://100.64.0.1/a",
        "https://169.254.169.254/latest/meta-data",
        "https://192.0.0.192/opc",
        "https://168.63.129.16/a",
        "https://0.0.0.0/a",
        "https://224.0.0.1/a",
        "https://255.255.255.255/a",
        "https://[::1]/a",
        "https://[::]/a",
        "https://[::ffff:127.0.0.1]/a",
        "https://[::ffff:a9fe:a9fe]/a",
        "https://[::127.0.0.1]/a",
        "https://[64:ff9b::127.0.0.1]/a",
        "https://[64:ff9b::10.0.0.1]/a",
        "https://[64:ff9b:1::808:808]/a",
        "https://[2002:7f00:1::]/a",
        "https://[2002:a00:1::1]/a",
        "https://[2001:0:7f00:1::]/a",
        "https://[2001:db8::1]/a",
        "https://[fe80::1]/a",
        "https://[fec0::1]/a",
        "https://[fd00::1]/a",
        "https://[ff02::1]/a",
        "https://[4000::1]/a",
    ],
)
def test_a_private_address_is_refused_however_it_is_written(url: str) -> None:
    assert refusal(url) == "net.private"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://140.82.121.3/a/b.git", Reach("https://140.82.121.3/a/b.git", "140.82.121.3", 443, "140.82.121.3")),
        ("HTTPS://140.82.121.3:443", Reach("https://140.82.121.3/", "140.82.121.3", 443, "140.82.121.3")),
        (
            "https://140.82.121.3:8443/ä?q=é",
            Reach("https://140.82.121.3:8443/%C3%A4?q=%C3%A9", "140.82.121.3", 8443, "140.82.121.3"),
        ),
        ("https://[2606:50C0::153]/a", Reach("https://[2606:50c0::153]/a", "2606:50c0::153", 443, "2606:50c0::153")),
        ("https://[64:ff9b::8.8.8.8]/a", Reach("https://[64:ff9b::808:808]/a", "64:ff9b::808:808", 443, "64:ff9b::808:808")),
    ],
)
def test_a_public_address_is_taken_and_written_in_one_way(url: str, place: Reach) -> None:
    assert reach(url, NOWHERE) == place


@pytest.mark.parametrize("one", ["127.0.0.1", "127.0.0.1:8443"])
def test_what_an_operator_allows_need_not_be_public(one: str) -> None:
    net = Net(allow=(one,))

    assert reach("https://127.0.0.1:8443/a", net).address == "127.0.0.1"
    assert refusal("https://127.0.0.2:8443/a", net) == "net.private"
    assert refusal("https://[::ffff:127.0.0.1]:8443/a", net) == "net.private"


@pytest.mark.parametrize("one", ["::1", "[::1]", "[::1]:8443", "LocalHost"])
def test_an_allowed_host_may_be_written_in_any_way_that_names_it(one: str) -> None:
    host = "localhost" if "o" in one else "[::1]"

    assert reach(f"https://{host}:8443/a", Net(allow=(one,))).port == 8443


def test_an_allowed_port_allows_no_other() -> None:
    assert refusal("https://127.0.0.1/a", Net(allow=("127.0.0.1:8443",))) == "net.private"


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers("8.8.8.8", "10.0.0.1"))
    assert refusal("https://two.example/a") == "net.private"

    monkeypatch.setattr(socket, "getaddrinfo", answers("8.8.8.8", "1.1.1.1"))
    assert reach("https://two.example/a", NOWHERE).address == "8.8.8.8"


def test_a_host_that_does_not_exist_is_told_and_a_resolver_that_is_away_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", fails(socket.EAI_NONAME))
    assert refusal("https://none.example/a") == "net.unknown-host"

    monkeypatch.setattr(socket, "getaddrinfo", fails(socket.EAI_AGAIN))
    with pytest.raises(Temporary, match=r"^none\.example cannot be looked up"):
        reach("https://none.example/a", NOWHERE)


@given(st.ip_addresses())
@settings(max_examples=300, deadline=None)
def test_what_is_public_is_global_to_python_too(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    carried = address.version == 6 and address in ipaddress.ip_network("64:ff9b::/96")

    assert not is_public(address) or address.is_global or carried


@given(st.ip_addresses(v=4))
@settings(max_examples=100, deadline=None)
def test_an_address_in_another_ones_clothes_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    clothed = (0xFFFF << 32 | number, 0x2002 << 112 | number << 80, 0x64_FF9B << 96 | number)

    assert {is_public(ipaddress.IPv6Address(one)) for one in clothed} == {is_public(address)}


# --- URLs


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://github.com/a", "net.scheme"),
        ("ssh://git@github.com/a", "net.scheme"),
        ("git@github.com:a/b.git", "net.scheme"),
        ("git://github.com/a", "net.scheme"),
        ("file:///etc/passwd", "net.scheme"),
        ("/etc/passwd", "net.scheme"),
        ("github.com/a", "net.scheme"),
        ("//github.com/a", "net.scheme"),
        ("ext::sh -c x", "net.shape"),
        ("ext::sh", "net.scheme"),
        ("https::github.com", "net.scheme"),
        ("--upload-pack=x", "net.scheme"),
        ("https://me@github.com/a", "net.credentials"),
        ("https://me:secret@github.com/a", "net.credentials"),
        ("https://@github.com/a", "net.credentials"),
        ("https://8.8.8.8@10.0.0.1/a", "net.credentials"),
        ("https://github.com/a#b", "net.shape"),
        ("https://github.com/a#", "net.shape"),
        ("https://github.com\\@10.0.0.1/a", "net.shape"),
        ("https://github.com/a b", "net.shape"),
        ("https://github.com/a\nHost: x", "net.shape"),
        ("https://github.com/a\x00", "net.shape"),
        ("https://github.com/a\x85", "net.shape"),
        ("https://github.com:/a", "net.shape"),
        ("https://github.com:99999/a", "net.shape"),
        ("https://github.com:x/a", "net.shape"),
        ("https:///a", "net.shape"),
        ("https://", "net.shape"),
        ("https://[::1/a", "net.shape"),
        ("https://[fe80::1%25eth0]/a", "net.shape"),
        ("https://[fe80::1%eth0]/a", "net.shape"),
        ("https://a..b/a", "net.shape"),
        ("https://-a.example/a", "net.shape"),
        ("https://a,b/a", "net.shape"),
        ("https://" + "a" * 64 + ".example/", "net.shape"),
        ("https://github.com/" + "a" * 2000, "net.shape"),
        ("", "net.shape"),
    ],
)
def test_a_url_that_two_readers_could_read_differently_is_refused(url: str, code: str) -> None:
    assert refusal(url) == code


def test_a_secret_in_a_url_is_not_repeated() -> None:
    with pytest.raises(Invalid) as refused:
        reach("https://me:secret@github.com/a", NOWHERE)

    assert "secret" not in f"{refused.value} {refused.value.problems[0]}"


@given(
    st.one_of(st.text(max_size=30), st.text(st.sampled_from("https:/@[]#?\\%.01af\t é"), max_size=20).map("https://".__add__))
)
@settings(max_examples=300, deadline=None)
def test_whatever_is_typed_is_refused_or_a_plain_public_https_url(url: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", answers("8.8.8.8"))
        try:
            place = reach(url, NOWHERE)
        except Invalid:
            return

    assert place.url.startswith("https://")
    assert place.url.isascii() and place.url.isprintable() and not set(place.url) & set(" @\\#\"'<>") - set("@'")
    assert "@" not in place.url.split("/")[2]


# --- asking


def test_the_head_of_an_answer_is_its_status_and_headers(tmp_path: Path) -> None:
    host = GitHost(tmp_path)
    host.redirects = {"/a": "https://elsewhere.example"}
    net = Net(("127.0.0.1",), str(host.ca))
    with host.up() as url:
        answer = head(reach(f"{url}/a/b?c=d", net), net, 10)

    assert (answer.status, answer.headers["location"]) == (301, "https://elsewhere.example/b?c=d")
    assert host.asked == ["GET /a/b?c=d"]


def test_redirects_are_followed_where_each_place_is_allowed_and_three_times_at_most(tmp_path: Path) -> None:
    host = GitHost(tmp_path)
    with host.up() as url:
        net = Net((url.removeprefix("https://"),), str(host.ca))
        host.redirects = {"/1": f"{url}/2", "/2": f"{url}/3", "/3": f"{url}/4"}
        place, answer = follow(f"{url}/1", "/x", net, time.monotonic() + 10)
        host.redirects["/0"] = f"{url}/1"
        with pytest.raises(Invalid) as circled:
            follow(f"{url}/0", "/x", net, time.monotonic() + 10)
        host.redirects = {"/1": "https://10.0.0.1"}
        with pytest.raises(Invalid) as private:
            follow(f"{url}/1", "/x", net, time.monotonic() + 10)

    assert (place.url, answer.status) == (f"{url}/4", 404)
    assert [one.value.problems[0].code for one in (circled, private)] == ["net.redirect", "net.private"]


def test_the_authorities_are_the_systems_and_the_named_ones(tmp_path: Path) -> None:
    host = GitHost(tmp_path)
    both = authorities(Net(ca=str(host.ca))).decode()
    system = ssl.get_default_verify_paths().cafile

    assert host.ca.read_text(encoding="ascii").strip() in both
    assert system is None or Path(system).read_text(encoding="utf-8").strip() in both


def test_a_file_without_authorities_is_our_failure(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing", encoding="utf-8")
    with pytest.raises(Failed, match=r"^net\.ca: "):
        authorities(Net(ca=str(tmp_path / "ca.pem")))


def test_a_host_that_never_answers_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # it is connected to, and says nothing
        port = server.getsockname()[1]
        with pytest.raises(Temporary, match=r"^127\.0\.0\.1 cannot be reached"):
            head(Reach(f"https://127.0.0.1:{port}/", "127.0.0.1", port, "127.0.0.1"), NOWHERE, 0.2)


def answers(*addresses: str) -> object:
    return lambda host, port, **more: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]


def fails(errno: int) -> object:
    def resolver(*words: object, **more: object) -> None:
        raise socket.gaierror(errno, "not now")

    return resolver
