"""SSH signatures, through `ssh-keygen -Y` (OpenSSH PROTOCOL.sshsig), so that agents and hardware keys work."""

from __future__ import annotations

import base64
import os
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path

from retentiond.errors import ApprovalError, UsageError

NAMESPACE = "retentiond"
_SECONDS = 120
_TOUCHED = 0x01  # of a security key's flags; a counter of four bytes follows them
_FLAGS_AND_COUNTER = 5
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_MAGIC = b"SSHSIG\x00\x00\x00\x01"  # with the version


def sign(text: str, key_file: Path) -> str:
    """Return the armoured signature of a text.

    Args:
        key_file: A private key, or a public key whose private half an agent holds.

    Raises:
        UsageError: The key cannot be read or used.
    """
    if not key_file.is_file():
        raise UsageError(f"there is no SSH key at {key_file}", where="--ssh-key", remedy="name a private key file")
    with tempfile.TemporaryDirectory(prefix="retentiond-") as directory:
        message = Path(directory) / "message"
        message.write_text(text, encoding="utf-8")
        result = _ssh_keygen("-Y", "sign", "-q", "-f", str(key_file), "-n", NAMESPACE, str(message))
        if result.returncode:
            raise UsageError(
                f"ssh-keygen could not sign with {key_file}: {result.stderr.strip()}",
                where="--ssh-key",
                remedy="check the file's permissions and passphrase, or that the agent holds the key",
            )
        return (Path(directory) / "message.sig").read_text(encoding="ascii")


def public_key(key_file: Path) -> tuple[str, str]:
    """Return the type and base64 of a key file's public half.

    Raises:
        UsageError: It cannot be read.
    """
    beside = key_file if key_file.suffix == ".pub" else key_file.with_name(key_file.name + ".pub")
    if beside.is_file():
        text = beside.read_text(encoding="utf-8", errors="replace")
    else:
        result = _ssh_keygen("-y", "-P", "", "-f", str(key_file))
        if result.returncode:
            raise UsageError(
                f"the public half of {key_file} cannot be read: {result.stderr.strip()}",
                where="--ssh-key",
                remedy=f"put it beside the key as {beside.name}",
            )
        text = result.stdout
    parts = text.split()
    if len(parts) < 2:  # noqa: PLR2004 - type and base64
        raise UsageError(f"{beside} is no SSH public key", where="--ssh-key", remedy="name another key file")
    return parts[0], parts[1]


def agent_keys() -> list[tuple[str, str]]:
    """Return type and base64 of the keys that the SSH agent holds; none where there is no agent."""
    result = _run("ssh-add", "-L")
    lines = (line.split() for line in result.stdout.splitlines()) if not result.returncode else ()
    return [(parts[0], parts[1]) for parts in lines if len(parts) > 1]


def sign_with_agent(text: str, public: tuple[str, str]) -> str:
    """Return the armoured signature of a text by a key that the agent holds."""
    with tempfile.TemporaryDirectory(prefix="retentiond-") as directory:
        key_file = Path(directory) / "agent.pub"
        key_file.write_text(f"{public[0]} {public[1]}\n", encoding="ascii")
        return sign(text, key_file)


def verify(text: str, signature: str, allowed_signers: str, at: datetime) -> str:
    """Return the principal whose key made a signature.

    Args:
        allowed_signers: Text of the approvers file.
        at: The time at which the signature must be valid.

    Raises:
        ApprovalError: It is not a signature of this text by anybody in the file; the reason says why not.
    """
    key = _key_of(signature)
    with tempfile.TemporaryDirectory(prefix="retentiond-") as directory:
        allowed, sig = Path(directory) / "allowed", Path(directory) / "sig"
        allowed.write_text(allowed_signers, encoding="utf-8")
        sig.write_text(signature, encoding="utf-8")
        when = f"verify-time={at:%Y%m%d%H%M%S}"
        found = _ssh_keygen("-Y", "find-principals", "-s", str(sig), "-f", str(allowed), "-O", when)
        principals = found.stdout.split()
        if found.returncode or len(principals) != 1:
            named = key in allowed_signers.split()
            why = f"is not valid at {at:%Y-%m-%d %H:%M} UTC" if named else "the approvers file does not name"
            raise ApprovalError(
                f"the signature was made with a key that {why}", remedy="sign with a key of an approver"
            )
        arguments = ("-Y", "verify", "-f", str(allowed), "-I", principals[0], "-n", NAMESPACE, "-s", str(sig))
        checked = _ssh_keygen(*arguments, "-O", when, stdin=text)
        if checked.returncode:
            raise ApprovalError("the signature is not one of this text", remedy="sign exactly what was shown")
        return principals[0]


def _key_of(signature: str) -> str:
    """Return the public key, in base64, that a signature says it was made with (PROTOCOL.sshsig, "Blob format").

    Raises:
        ApprovalError: It is no SSH signature, one for another purpose, or a security key's that nobody touched.
    """
    try:
        inside = signature.strip().removeprefix(_BEGIN).removesuffix(_END)
        blob = base64.b64decode("".join(inside.split()), validate=True)
        key, rest = _string(_inside(blob))
        namespace, rest = _string(rest)
        for _ in range(2):  # reserved, hash algorithm
            _, rest = _string(rest)
        made, _ = _string(rest)
        touched = _was_touched(made)
    except ValueError as error:
        raise ApprovalError(
            "the signature is no SSH signature, or is cut short", remedy="sign with `ssh-keygen -Y sign`"
        ) from error
    if namespace != NAMESPACE.encode():
        raise ApprovalError(
            f"the signature was made for {namespace.decode(errors='backslashreplace')!r}, and not for {NAMESPACE!r}",
            remedy=f"sign in the namespace {NAMESPACE}",
        )
    if not touched:
        raise ApprovalError(
            "the signature was made by a security key that nobody touched",
            remedy="make a key without `no-touch-required`, and name that in approvers",
        )
    return base64.b64encode(key).decode("ascii")


def _was_touched(made: bytes) -> bool:
    """Tell whether somebody touched the security key that signed (PROTOCOL.u2f); true for keys of other kinds.

    `ssh-keygen -Y verify` does not ask.
    """
    kind, rest = _string(made)
    _, flags = _string(rest)
    if b"sk-" not in kind:
        return True
    return len(flags) >= _FLAGS_AND_COUNTER and bool(flags[0] & _TOUCHED)  # of a web site's more follows


def _inside(blob: bytes) -> bytes:
    if not blob.startswith(_MAGIC):
        message = "the data begins with something else"
        raise ValueError(message)
    return blob[len(_MAGIC) :]


def _string(data: bytes) -> tuple[bytes, bytes]:
    end = 4 + int.from_bytes(data[:4])
    if len(data) < max(4, end):
        message = "the data ends inside a string"
        raise ValueError(message)
    return data[4:end], data[end:]


def _ssh_keygen(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return _run("ssh-keygen", *arguments, stdin=stdin)


def _run(*command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    try:
        # Times are written without a zone, since OpenSSH before 9.1 knows none; so its local time has to be UTC.
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            env={**os.environ, "TZ": "UTC"},
        )
    except FileNotFoundError as error:
        raise UsageError(
            f"{command[0]} is not installed", remedy="install OpenSSH's client (openssh-client)"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise UsageError(
            f"{command[0]} gave no answer in {_SECONDS} s", remedy="unlock the key or its agent, and try again"
        ) from error
