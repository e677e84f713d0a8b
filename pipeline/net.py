"""Where labbot may go by itself: https, to public addresses, and to nothing of the network it stands in.

People name the URLs, so a URL could name what only this machine can reach: a service on it, a router, a cloud's metadata
(server-side request forgery). A host is therefore resolved once, every address of it is checked, and the connection goes
to the address that was checked: a name that is resolved again could say something else by then (DNS rebinding).
Where a redirect leads is checked like the first place. Proxies are not used: they would resolve anew.
"""

import ipaddress
import re
import socket
import ssl
import time
from dataclasses import dataclass, replace
from email.parser import BytesHeaderParser
from pathlib import Path
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from pipeline.errors import Failed, Invalid, Problem, Temporary

HTTPS = 443
MAX_URL = 2000
HEADER_BYTES = 2**16
REDIRECTS = 3  # GitHub needs one for a repository that was renamed, two if it moved as well
# What counts as global in Python's lists and is not: IETF assignments (192.0.0.192 is Oracle Cloud's metadata; Python 3.11
# had only /29 of it, CVE-2024-4032), Azure's inner address, and NAT64 of one's own network (RFC 8215).
_INNER = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "168.63.129.16/32", "64:ff9b:1::/48")))
_UNICAST6 = ipaddress.IPv6Network("2000::/3")  # the only global unicast that IANA has given out
_SAFE = "/%:@!$&'()*+,;=~-._"  # what a path may hold as it is (RFC 3986)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_ABSENT = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Net:
    """`allow`: hosts, or host:port, that need not be public. `ca`: a file of authorities besides the system's."""

    allow: tuple[str, ...] = ()
    ca: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """A URL that may be asked, written anew from its checked parts, and the one address to ask it at."""

    url: str
    host: str
    port: int
    address: str


@dataclass(frozen=True, slots=True)
class Head:
    """The status of an answer and its headers, names in lower case."""

    status: int
    headers: dict[str, str]


def reach(url: str, net: Net) -> Reach:
    """Check a URL and resolve its host.

    Raises Invalid: net.shape, net.scheme, net.credentials, net.unknown-host, net.private. Temporary: nobody could say
    where the host is.
    """
    parts, host, port = _parts(url)
    addresses = _addresses(host, port)
    names = {host, f"[{host}]", f"{host}:{port}", f"[{host}]:{port}"}
    if not names & {one.lower() for one in net.allow}:
        for address in addresses:
            if not is_public(address):
                fix = "Name a public place, or let an operator add the host to net.allow."
                raise _invalid("net.private", url, f"{host} leads into a private network", fix, host=host)
    shown = f"[{host}]" if ":" in host else host
    port_text = "" if port == HTTPS else f":{port}"
    query = f"?{quote(parts.query, safe=_SAFE + '?')}" if parts.query else ""
    path = quote(parts.path or "/", safe=_SAFE)
    return Reach(f"https://{shown}{port_text}{path}{query}", host, port, str(addresses[0]))


def is_public(address: Address) -> bool:
    """Whether everybody's internet has that address; one that carries another (mapped, 6to4, NAT64) is judged by that one."""
    if isinstance(address, ipaddress.IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour
        carried = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else carried
        if carried:
            return is_public(carried)
        if address not in _UNICAST6:  # among others ::127.0.0.1, fec0::1 and 4000::1, which Python calls global
            return False
    return address.is_global and not address.is_multicast and not any(address in network for network in _INNER)


def head(place: Reach, net: Net, timeout_s: float) -> Head:
    """Ask for a URL's status and headers at its checked address; the body is not read.

    Raises Invalid net.certificate; Temporary where the host is away, slow, or says nothing that is HTTP.
    """
    host, _, path = place.url.removeprefix("https://").partition("/")
    lines = (f"GET /{path} HTTP/1.1", f"Host: {host}", "User-Agent: git/labbot", "Accept: */*")
    try:
        answer = _ask(place, context(net), "\r\n".join([*lines, "Connection: close", "", ""]).encode(), timeout_s)
    except ssl.SSLCertVerificationError as error:
        raise bad_certificate(place, error.verify_message) from None
    except OSError as error:
        raise Temporary(f"{place.host} cannot be reached: {error}") from error
    found = re.match(rb"HTTP/1\.[01] ([1-5][0-9][0-9])\b[^\n]*\n", answer)
    if not found:
        raise Temporary(f"{place.host} did not answer in HTTP")
    headers = BytesHeaderParser().parsebytes(answer[found.end() :])
    return Head(int(found[1]), {name.lower(): str(value) for name, value in headers.items()})


def bad_certificate(place: Reach, reason: str) -> Invalid:
    fix = "Its owner must mend it, or an operator adds its authority to net.ca."
    message = f"the certificate of {place.host} does not hold: {reason}"
    return _invalid("net.certificate", place.url, message, fix, host=place.host, reason=reason)


def follow(url: str, suffix: str, net: Net, until: float) -> tuple[Reach, Head]:
    """Ask for url + suffix, and where its redirects lead, at most 3; return the place without the suffix, and its answer.

    A redirect counts if it keeps the suffix, as git has it (gitprotocol-http). `until`: on time.monotonic's clock.
    Raises Invalid net.redirect besides what `reach` and `head` raise.
    """
    to = url
    for _ in range(1 + REDIRECTS):
        place = reach(to, net)
        place = replace(place, url=place.url.rstrip("/"))
        asked = replace(place, url=place.url + suffix)
        answer = head(asked, net, max(1.0, until - time.monotonic()))
        if answer.status not in (301, 302, 303, 307, 308):
            return place, answer
        to = urljoin(asked.url, answer.headers.get("location", ""))
        if not to.endswith(suffix):
            break
        to = to.removesuffix(suffix)
    shown = _bare(to)
    raise _invalid("net.redirect", url, f"{url} leads to {shown}", "Name the place where it lies now.", to=shown)


def context(net: Net) -> ssl.SSLContext:
    """Certificates are checked against the system's authorities and those of `net.ca`."""
    made = ssl.create_default_context()
    if net.ca:
        try:
            made.load_verify_locations(net.ca)
        except OSError as error:  # ssl.SSLError is one
            raise Failed(f"net.ca: {net.ca} holds no certificates that can be read: {error}") from error
    return made


def authorities(net: Net) -> bytes:
    """The system's authorities and those of `net.ca` in one PEM: a program told of a file forgets the system's."""
    context(net)
    system = ssl.get_default_verify_paths().cafile
    return b"\n".join(Path(path).read_bytes() for path in (system, net.ca) if path)


def _parts(url: str) -> tuple[SplitResult, str, int]:
    """The URL's parts, its host in small ASCII, its port. Raises Invalid for whatever two readers could read differently."""
    if not url or len(url) > MAX_URL or re.search(r"[\x00-\x20\x7f-\xa0\\\"'<>^`{|}\u2028\u2029]", url):
        raise _shape(url)
    scheme = re.match(r"(?:([A-Za-z][A-Za-z0-9+.-]*):(:|//)?)?", url)
    if not scheme or (scheme[1] or "").lower() != "https" or scheme[2] != "//":
        raise _invalid("net.scheme", url, "only https is fetched", "Begin with https://.", scheme=(scheme and scheme[1]) or "")
    try:
        parts = urlsplit(url)
        host, port = _ascii(parts.hostname or ""), parts.port or HTTPS
    except ValueError:  # UnicodeError is one
        raise _shape(url) from None
    if "@" in parts.netloc:
        raise _invalid("net.credentials", _bare(url), "a user name or password stands in the URL", "Take it out.")
    if not host or "#" in url or parts.netloc.endswith(":"):
        raise _shape(url)
    return parts, host, port


def _ascii(host: str) -> str:
    """A host name as the resolver takes it. Raises ValueError for what is neither a name nor an address."""
    if ":" in host:
        if "%" in host:
            raise ValueError("a zone names a cable of this machine")
        return str(ipaddress.IPv6Address(host))
    name = host.encode("idna").decode().lower().rstrip(".")
    if not re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", name):
        raise ValueError(host)
    return name


def _addresses(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in _ABSENT:
            fix = "Look at its spelling."
            raise _invalid("net.unknown-host", host, f"there is no host {host}", fix, host=host) from None
        raise Temporary(f"{host} cannot be looked up: {error.strerror}") from error
    except (OSError, UnicodeError) as error:
        raise Temporary(f"{host} cannot be looked up: {error}") from error
    return [ipaddress.ip_address(str(row[4][0])) for row in found]


def _ask(place: Reach, secure: ssl.SSLContext, request: bytes, timeout_s: float) -> bytes:
    """Send a request and read to the end of the headers, all within the time. Raises OSError."""
    until = time.monotonic() + timeout_s
    with (
        socket.create_connection((place.address, place.port), timeout_s) as plain,
        secure.wrap_socket(plain, server_hostname=place.host) as line,
    ):
        line.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer and len(answer) < HEADER_BYTES:
            line.settimeout(max(0.001, until - time.monotonic()))
            part = line.recv(4096)
            if not part:
                break
            answer += part
    return answer.partition(b"\r\n\r\n")[0]


def _bare(url: str) -> str:
    """The URL without what could be a secret in it."""
    return re.sub(r"//[^/]*@", "//", url)


def _shape(url: str) -> Invalid:
    shown = re.sub(r"[^ -~\xa1-\uffff]", "?", _bare(url))[:200]
    return _invalid("net.shape", shown, "that is no web address", "Write it as https://host/path.")


def _invalid(code: str, url: str, message: str, fix: str, **facts: str) -> Invalid:
    return Invalid(Problem(code, message, where=url, fix=fix, facts={"url": url, **facts}))
