"""A small ONVIF device on loopback: device and media service, a clock that may be wrong, logins it really checks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate

USER, PASSWORD = "operator", 'pä:ss "word'
NONCE = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
LOGIN_SKEW_S_MAX = 5.0
_OPEN = ("GetSystemDateAndTime", "GetEndpointReference")  # what needs no login
_ENVELOPE = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:tt="http://www.onvif.org/ver10/schema"'
    ' xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:trt="http://www.onvif.org/ver10/media/wsdl"'
    ' xmlns:tr2="http://www.onvif.org/ver20/media/wsdl" xmlns:ter="http://www.onvif.org/ver10/error">'
    "<s:Body>{}</s:Body></s:Envelope>"
)
_FAULT = (
    "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>{}</s:Value></s:Subcode></s:Code>"
    '<s:Reason><s:Text xml:lang="en">{}</s:Text></s:Reason></s:Fault>'
)


@dataclass
class OnvifDevice:
    """How the device behaves; a test sets what it needs, also while the device runs."""

    login: str = "digest-sha-256"  # or "digest-md5", "token", "none"
    clock_offset_s: float = 0.0
    is_clock_secret: bool = False  # GetSystemDateAndTime wants the login too
    is_date_sent: bool = True
    has_get_services: bool = True
    xaddr_host: str = "192.168.1.108"  # the factory's address
    stream_uri: str = "rtsp://admin:secret@192.168.1.108:8554/main?a=1&amp;b=2"
    encodings: tuple[tuple[str, int, int], ...] = (("H264", 640, 360), ("H264", 1920, 1080), ("H265", 3840, 2160))
    names: tuple[str, ...] = ()  # of the profiles; "P0", "P1" ... where there is none
    media: tuple[int, ...] = (1,)  # which media services it announces
    is_media2_broken: bool = False  # it announces media2 and answers it with a fault
    is_rtsp_unknown: bool = False  # media2 knows the protocol `RtspUnicast` only
    gop: int = 50
    bitrate_kbps: int = 4096
    is_stubborn: bool = False  # it accepts every setting and keeps what it has
    smart: str = ""  # appended to every encoder's name
    refusal: str = "Sender not Authorized"  # the text of the fault
    refusal_status_when_given: int | None = None  # of a login that is wrong, not of one that is missing
    serial: str = "SN0042"
    mac: str = "02:00:00:00:00:42"
    epr: str = ""  # empty: it does not tell its endpoint reference
    settings: list[str] = field(default_factory=list)  # the bodies of the calls that set something, in order
    asked: list[str] = field(default_factory=list)  # operations, in order
    refused_logins: int = 0

    def clock(self) -> float:
        """Read the device's clock in seconds of UTC."""
        return time.time() + self.clock_offset_s

    def answer(self, operation: str, address: str) -> str:
        """Write the content of the SOAP body for one operation."""
        media = f"http://{self.xaddr_host}:{address.rpartition(':')[2]}/onvif/media"
        capability = (
            f"<tt:Media><tt:XAddr>{media}</tt:XAddr><tt:StreamingCapabilities/></tt:Media>" if self.media else ""
        )
        told = datetime.fromtimestamp(self.clock(), UTC)
        answers = {
            "GetSystemDateAndTime": (
                "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType>"
                "<tt:DaylightSavings>false</tt:DaylightSavings><tt:UTCDateTime>"
                f"<tt:Time><tt:Hour>{told.hour}</tt:Hour><tt:Minute>{told.minute}</tt:Minute>"
                f"<tt:Second>{told.second}</tt:Second></tt:Time><tt:Date><tt:Year>{told.year}</tt:Year>"
                f"<tt:Month>{told.month}</tt:Month><tt:Day>{told.day}</tt:Day></tt:Date></tt:UTCDateTime>"
                "</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
            ),
            "GetDeviceInformation": (
                "<tds:GetDeviceInformationResponse><tds:Manufacturer>Acme</tds:Manufacturer>"
                "<tds:Model>Dome 4</tds:Model><tds:FirmwareVersion>1.2.3</tds:FirmwareVersion>"
                f"<tds:SerialNumber>{self.serial}</tds:SerialNumber><tds:HardwareId>1</tds:HardwareId>"
                "</tds:GetDeviceInformationResponse>"
            ),
            "GetNetworkInterfaces": (
                '<tds:GetNetworkInterfacesResponse><tds:NetworkInterfaces token="eth0"><tt:Enabled>true</tt:Enabled>'
                f"<tt:Info><tt:Name>eth0</tt:Name><tt:HwAddress>{self.mac}</tt:HwAddress></tt:Info>"
                "</tds:NetworkInterfaces></tds:GetNetworkInterfacesResponse>"
            ),
            "GetServices": f"<tds:GetServicesResponse>{self._services(media)}</tds:GetServicesResponse>",
            "GetCapabilities": (
                f"<tds:GetCapabilitiesResponse><tds:Capabilities>{capability}</tds:Capabilities>"
                "</tds:GetCapabilitiesResponse>"
            ),
            "GetVideoEncoderConfigurations": "<trt:GetVideoEncoderConfigurationsResponse>"
            + "".join(self._encoder(number, "trt:Configurations") for number in range(len(self.encodings)))
            + "</trt:GetVideoEncoderConfigurationsResponse>",
            "GetProfiles": f"<trt:GetProfilesResponse>{self._profiles()}</trt:GetProfilesResponse>",
            "GetStreamUri": (
                f"<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>{self.stream_uri}</tt:Uri>"
                "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect><tt:InvalidAfterReboot>false"
                "</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout></trt:MediaUri></trt:GetStreamUriResponse>"
            ),
        }
        if self.epr:
            answers["GetEndpointReference"] = (
                f"<tds:GetEndpointReferenceResponse><tds:GUID>{self.epr}</tds:GUID></tds:GetEndpointReferenceResponse>"
            )
        if not self.has_get_services:
            del answers["GetServices"]
        for order in ("SetVideoEncoderConfiguration", "SetSynchronizationPoint", "SetNTP", "SetSystemDateAndTime"):
            answers[order] = f"<tds:{order}Response/>"
        return answers.get(operation, _FAULT.format("ter:ActionNotSupported", "Optional Action Not Implemented"))

    def take(self, body: str) -> None:
        """Obey a call that sets something."""
        self.settings.append(body)
        gop, bitrate = re.search(r'GovLength(?:="|>)(\d+)', body), _between(body, "BitrateLimit")
        if not self.is_stubborn:
            self.gop, self.bitrate_kbps = int(gop[1]) if gop else self.gop, int(bitrate or self.bitrate_kbps)

    def answer_media2(self, operation: str, body: str) -> str:
        """Write the content of the SOAP body for one operation of media2."""
        profiles = "".join(
            f'<tr2:Profiles token="profile{number}" fixed="true"><tr2:Name>{self._name(number)}</tr2:Name>'
            f"<tr2:Configurations>{self._encoder2(number, 'tr2:VideoEncoder')}</tr2:Configurations></tr2:Profiles>"
            for number in range(len(self.encodings))
        )
        encoders = "".join(
            self._encoder2(number, "tr2:Configurations")
            for number in range(len(self.encodings))
            if _between(body, "ConfigurationToken") in ("", f"v{number}")
        )
        answers = {
            "GetProfiles": profiles,
            "GetVideoEncoderConfigurations": encoders,
            "GetStreamUri": f"<tr2:Uri>{self.stream_uri}</tr2:Uri>",
            "SetSynchronizationPoint": "",
            "SetVideoEncoderConfiguration": "",
        }
        if self.is_media2_broken or operation not in answers:
            return _FAULT.format("ter:ActionNotSupported", "Optional Action Not Implemented")
        if self.is_rtsp_unknown and _between(body, "Protocol") == "RTSP":
            return _FAULT.format("ter:InvalidArgVal", "Invalid protocol")
        return f"<tr2:{operation}Response>{answers[operation]}</tr2:{operation}Response>"

    def _services(self, media: str) -> str:
        spaces = {1: "http://www.onvif.org/ver10/media/wsdl", 2: "http://www.onvif.org/ver20/media/wsdl"}
        return "".join(
            f"<tds:Service><tds:Namespace>{spaces[one]}</tds:Namespace><tds:XAddr>{media}{one}</tds:XAddr>"
            "<tds:Version><tt:Major>2</tt:Major><tt:Minor>5</tt:Minor></tds:Version></tds:Service>"
            for one in self.media
        )

    def _name(self, number: int) -> str:
        return self.names[number] if number < len(self.names) else f"P{number}"

    def _encoder2(self, number: int, element: str) -> str:
        encoding, width, height = self.encodings[number]
        return (
            f'<{element} token="v{number}" GovLength="{self.gop}" Profile="Main"><tt:Name>V{self.smart}</tt:Name>'
            f"<tt:UseCount>1</tt:UseCount><tt:Encoding>{encoding}</tt:Encoding><tt:Resolution><tt:Width>{width}"
            f"</tt:Width><tt:Height>{height}</tt:Height></tt:Resolution>"
            '<tt:RateControl ConstantBitRate="false"><tt:FrameRateLimit>25</tt:FrameRateLimit>'
            f"<tt:BitrateLimit>{self.bitrate_kbps}</tt:BitrateLimit></tt:RateControl><tt:Quality>5</tt:Quality></{element}>"
        )

    def _encoder(self, number: int, element: str) -> str:
        encoding, width, height = self.encodings[number]
        return (
            f'<{element} token="v{number}"><tt:Name>V{self.smart}</tt:Name><tt:UseCount>1</tt:UseCount>'
            f"<tt:Encoding>{encoding}</tt:Encoding><tt:Resolution><tt:Width>{width}</tt:Width>"
            f"<tt:Height>{height}</tt:Height></tt:Resolution><tt:Quality>5</tt:Quality><tt:RateControl>"
            "<tt:FrameRateLimit>25</tt:FrameRateLimit><tt:EncodingInterval>1</tt:EncodingInterval>"
            f"<tt:BitrateLimit>{self.bitrate_kbps}</tt:BitrateLimit></tt:RateControl><tt:H264>"
            f"<tt:GovLength>{self.gop}</tt:GovLength><tt:H264Profile>Main</tt:H264Profile></tt:H264></{element}>"
        )

    def _profiles(self) -> str:
        return "".join(
            f'<trt:Profiles token="profile{number}" fixed="true"><tt:Name>{self._name(number)}</tt:Name>'
            f"{self._encoder(number, 'tt:VideoEncoderConfiguration')}</trt:Profiles>"
            for number in range(len(self.encodings))
            if self.encodings[number][0] != "H265" or 2 not in self.media
        )

    def is_logged_in(self, body: str, authorization: str) -> bool:
        """Check the login the device demands; count it if it was given and is wrong."""
        if self.login == "none":
            return True
        if self.login == "token":
            given, is_right = "UsernameToken" in body, self._is_token_right(body)
        else:
            given, is_right = bool(authorization), self._is_digest_right(authorization)
        self.refused_logins += given and not is_right
        return is_right

    def _is_token_right(self, body: str) -> bool:
        told = {name: _between(body, name) for name in ("Username", "Password", "Nonce", "Created")}
        if not all(told.values()) or not told["Created"].endswith("Z"):
            return False
        wanted = hashlib.sha1(base64.b64decode(told["Nonce"]) + (told["Created"] + PASSWORD).encode()).digest()  # noqa: S324 - the profile's
        created = datetime.fromisoformat(told["Created"]).timestamp()
        is_fresh = abs(created - self.clock()) <= LOGIN_SKEW_S_MAX
        return (
            is_fresh
            and told["Username"] == USER
            and hmac.compare_digest(base64.b64encode(wanted), told["Password"].encode())
        )

    def _is_digest_right(self, authorization: str) -> bool:
        told = dict(re.findall(r'(\w+)="?([^",]*)"?', authorization.removeprefix("Digest ")))

        def hashed(text: str) -> str:
            algorithm = hashlib.sha256 if self.login == "digest-sha-256" else hashlib.md5
            return algorithm(text.encode()).hexdigest()

        if told.get("nonce") != NONCE or told.get("username") != USER:
            return False
        a1, a2 = hashed(f"{USER}:camera:{PASSWORD}"), hashed(f"POST:{told.get('uri')}")
        wanted = hashed(f"{a1}:{NONCE}:{told.get('nc')}:{told.get('cnonce')}:auth:{a2}")
        return hmac.compare_digest(wanted, told.get("response", ""))

    @property
    def challenge(self) -> str | None:
        """The WWW-Authenticate header of a 401, if this device speaks HTTP Digest."""
        if not self.login.startswith("digest"):
            return None
        algorithm = self.login.removeprefix("digest-").upper()
        return f'Digest realm="camera", qop="auth", algorithm={algorithm}, nonce="{NONCE}"'


def _between(body: str, name: str) -> str:
    match = re.search(rf"<(?:\w+:)?{name}\b[^>]*>([^<]*)<", body)
    return match[1] if match else ""


@contextmanager
def serve(device: OnvifDevice, host: str = "127.0.0.1") -> Iterator[str]:
    """Run the device on a free port and give the URL of its device service."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            match = re.search(r"Body>\s*<(?:\w+:)?(\w+)", body)
            operation = match[1] if match else ""
            device.asked.append(operation)
            is_open = operation in _OPEN and not (operation == _OPEN[0] and device.is_clock_secret)
            if not is_open and not device.is_logged_in(body, self.headers.get("Authorization", "")):
                status = 401 if device.challenge else 400
                if device.refused_logins and device.refusal_status_when_given is not None:
                    status = device.refusal_status_when_given
                self._send(status, _FAULT.format("ter:NotAuthorized", device.refusal))
                return
            if operation.startswith("Set"):
                device.take(body)
            if self.path.endswith("/media2"):
                content = device.answer_media2(operation, body)
            else:
                content = device.answer(operation, f"{host}:{self.connection.getsockname()[1]}")
            self._send(400 if "s:Fault" in content else 200, content)

        def _send(self, status: int, content: str) -> None:
            answer = _ENVELOPE.format(content).encode()
            self.send_response_only(status)
            if device.is_date_sent:
                self.send_header("Date", formatdate(device.clock(), usegmt=True))
            if status == 401 and device.challenge:
                self.send_header("WWW-Authenticate", device.challenge)
            self.send_header("Content-Type", "application/soap+xml; charset=utf-8")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_words: object) -> None:
            """Say nothing: tests read `asked`."""

    with http.server.ThreadingHTTPServer((host, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://{host}:{server.server_address[1]}/onvif/device_service"
        finally:
            server.shutdown()
            thread.join()
