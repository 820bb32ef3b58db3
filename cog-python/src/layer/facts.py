# Writes what `pip freeze` prints into a file. It needs no pip, which environments made of wheels do not have.
import json
import re
import sys
from importlib.metadata import distributions
from urllib.parse import urlsplit, urlunsplit


def without_login(url):
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def line_of(distribution):
    name = distribution.metadata["Name"]
    text = distribution.read_text("direct_url.json")
    if not text:
        return f"{name}=={distribution.version}"
    origin = json.loads(text)
    url = without_login(origin["url"])
    if origin.get("dir_info", {}).get("editable"):
        return f"-e {urlsplit(url).path}"
    fragments = []
    if "vcs_info" in origin:
        url = f"{origin['vcs_info']['vcs']}+{url}@{origin['vcs_info']['commit_id']}"
    else:
        archive = origin.get("archive_info", {})
        hashes = [f"{name}={value}" for name, value in sorted(archive.get("hashes", {}).items())]
        fragments += hashes[:1] or ([archive["hash"]] if archive.get("hash") else [])
    if origin.get("subdirectory"):
        fragments.append(f"subdirectory={origin['subdirectory']}")
    return f"{name} @ {url}" + ("#" + "&".join(fragments) if fragments else "")


hidden = {"pip"} if sys.version_info >= (3, 12) else {"pip", "setuptools", "wheel", "distribute"}
found = {}
for distribution in distributions():
    name = distribution.metadata["Name"]
    if name:
        # The first on the path is the one that is imported.
        found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution)
with open(sys.argv[1], "w", encoding="utf-8") as file:
    for name in sorted(found.keys() - hidden):
        print(line_of(found[name]), file=file)
