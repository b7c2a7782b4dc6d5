# SPDX-License-Identifier: MIT
"""The settings that config/backends gives to operators, as the tests use them: what the guide says is what is tested."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[3]
BACKENDS = ROOT / "config" / "backends"


def snippet(name, **replace):
    """The file's text with values of the test's own. A value that is not in the file is an error: it would test nothing."""
    text = (BACKENDS / name).read_text(encoding="utf-8")
    for old, new in replace.values():
        assert old in text, f"config/backends/{name} has no {old!r}"
        text = text.replace(old, str(new))
    return text


def reasons():
    """The program's own table of endings: its text, and the words that records call them by."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "proxy" / "xmpp").glob("reason*.c")))
    return text, set(re.findall(r'(?:\.word = |\b(?:ENDED|REFUSED)\(\s*)"([a-z0-9-]+)"', text))
