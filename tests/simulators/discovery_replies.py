"""The answers of a camera network's worst and best: every kind was seen in the wild or named in an issue."""

from __future__ import annotations

EPR = "urn:uuid:00000000-0000-0000-0000-00000000aa{:02d}"
_REPLY = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
    ' xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
    ' xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"'
    ' xmlns:dn="http://www.onvif.org/ver10/network/wsdl"><s:Header><a:MessageID>urn:uuid:{number}</a:MessageID>'
    "<a:RelatesTo>{relates_to}</a:RelatesTo>"
    "<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</a:Action>{header}</s:Header>"
    "<s:Body><d:ProbeMatches>{matches}</d:ProbeMatches></s:Body></s:Envelope>"
)
_ENTITIES = '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


def match(
    number: int,
    xaddrs: str,
    scopes: str = "onvif://www.onvif.org/name/Door",
    version: str = "<d:MetadataVersion>1</d:MetadataVersion>",
    types: str = "dn:NetworkVideoTransmitter",
) -> str:
    """One ProbeMatch of the device with this number."""
    return (
        f"<d:ProbeMatch><a:EndpointReference><a:Address>{EPR.format(number)}</a:Address></a:EndpointReference>"
        f"<d:Types>{types}</d:Types><d:Scopes>{scopes}</d:Scopes><d:XAddrs>{xaddrs}</d:XAddrs>{version}</d:ProbeMatch>"
    )


def reply(relates_to: str, matches: str, header: str = "") -> bytes:
    """Write a whole reply, in Latin-1 as old firmware sends it."""
    return _REPLY.format(number="1", relates_to=relates_to, header=header, matches=matches).encode("latin-1")


def replies(relates_to: str, host: str, port: int = 80) -> dict[str, bytes]:
    """Each kind of reply by its name; `host` is the address of who sends it."""
    at = f"http://{host}:{port}/onvif/device_service"
    return {
        "instance id is no number": reply(relates_to, match(1, at), '<d:AppSequence InstanceId="abc"/>'),
        "no metadata version": reply(relates_to, match(2, at, version="")),
        "link-local addresses first": reply(
            relates_to, match(3, f"http://169.254.3.4/onvif/device_service http://[fe80::1]/onvif/device_service {at}")
        ),
        "factory address": reply(relates_to, match(4, f"http://192.168.1.108:{port}/onvif/device_service")),
        "no address": reply(relates_to, match(5, "")),
        "trailing NULs": reply(relates_to, match(6, at).replace("urn:uuid", "uuid").replace("aa06", "AA06")) + bytes(3),
        "truncated": reply(relates_to, match(7, at))[:-60],
        "latin-1 name": reply(relates_to, match(8, at, "onvif://www.onvif.org/name/Caf\xe9")),
        "entity bomb": _ENTITIES.encode() + reply(relates_to, match(9, "&b;")),
        "printer": reply(relates_to, match(10, f"http://{host}:5357/x", "", types="wsdp:Device pub:Computer")),
        "answer to another probe": reply("urn:uuid:11111111-1111-1111-1111-111111111111", match(11, at)),
        "rubbish": b"\x16\x03\x01 not xml",
        "two devices": reply(relates_to, match(12, at) + match(13, at)),
        "blank in a scope": reply(
            relates_to, match(14, at, "onvif://www.onvif.org/name/OSS Model onvif://www.onvif.org/hardware/X%201")
        ),
    }


NOT_CAMERAS = {"entity bomb", "rubbish", "printer", "answer to another probe"}
UNREADABLE = {"entity bomb", "rubbish"}
