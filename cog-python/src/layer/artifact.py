import fnmatch, hashlib, json, os, re, ssl, sys, urllib.request
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlencode

registry, host, repository, digest, folder, path = sys.argv[1:7]
options = list(zip(sys.argv[7::2], sys.argv[8::2]))
scheme = "http" if re.match(r"(localhost|127\.[0-9.]+|\[::1\])(:|$)", host) else "https"
TITLE = "org.opencontainers.image.title"
context = ssl.create_default_context()
try:
    # A Python that uv installs has no certificates of its own.
    from pip._vendor import certifi
    context.load_verify_locations(certifi.where())
except ImportError:
    pass
opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
authorization = None

def fail(problem):
    sys.exit(f"error: {registry}/{repository}@{digest}: {problem}")

def login():
    names = ["https://index.docker.io/v1/"] if registry == "docker.io" else []
    known = json.loads(os.environ.get("DOCKER_AUTH_CONFIG") or "{}").get("auths", {})
    found = [known[name]["auth"] for name in [registry] + names if known.get(name, {}).get("auth")]
    return "Basic " + found[0] if found else None

def get(address, header, accept="*/*"):
    request = urllib.request.Request(address, headers={"Accept": accept})
    if header:
        # Whoever a registry redirects to is not given it.
        request.add_unredirected_header("Authorization", header)
    return opener.open(request, timeout=300)

def ask(document, accept="*/*"):
    global authorization
    address = f"{scheme}://{host}/v2/{repository}/{document}"
    try:
        return get(address, authorization, accept)
    except HTTPError as error:
        if error.code != 401:
            raise
        kind, _, fields = error.headers.get("WWW-Authenticate", "").partition(" ")
    authorization = login()
    if kind.lower() == "bearer":
        fields = dict(re.findall(r'(\w+)="([^"]*)"', fields))
        query = urlencode({name: fields[name] for name in ("service", "scope") if name in fields})
        with get(fields["realm"] + "?" + query, authorization) as answer:
            token = json.load(answer)
        authorization = "Bearer " + (token.get("token") or token["access_token"])
    return get(address, authorization, accept)

def is_taken(title):
    def has(name):
        patterns = [pattern + "*" if pattern.endswith("/") else pattern for option, pattern in options if option == name]
        return patterns, any(fnmatch.fnmatchcase(title, pattern) for pattern in patterns)
    included, excluded = has("--include"), has("--exclude")
    return (included[1] or not included[0]) and not excluded[1]

def place(title):
    if not path or title == path:
        return title.rsplit("/", 1)[-1] if path else title
    return title[len(path) + 1:] if title.startswith(path + "/") else None

def download(layer, target):
    algorithm, value = layer["digest"].split(":")
    content, size = hashlib.new(algorithm), 0
    with ask("blobs/" + layer["digest"]) as answer, open(target, "wb") as file:
        while part := answer.read(1 << 20):
            content.update(part)
            size += len(part)
            file.write(part)
    if size < layer["size"]:
        raise OSError(f"the connection ended after {size} bytes of {layer['size']}")
    return content.hexdigest() == value

def fetch():
    with ask("manifests/" + digest, "application/vnd.oci.image.manifest.v1+json") as answer:
        text = answer.read()
    algorithm, value = digest.split(":")
    if hashlib.new(algorithm, text).hexdigest() != value:
        fail("the registry gives another manifest")
    manifest = json.loads(text)
    if "manifests" in manifest:
        fail("this is an index; name the digest of a manifest in it")
    titles = []
    for layer in manifest.get("layers", []):
        about = layer.get("annotations") or {}
        title = about.get(TITLE)
        if title is None:
            fail(f"layer {layer['digest']} has no {TITLE}; the files of an image are taken with `oci://`")
        if title.startswith("/") or any(part in ("", ".", "..") for part in title.split("/")):
            fail(f"layer {layer['digest']} has the title {title!r}, which is no path in a folder")
        if about.get("io.deis.oras.content.unpack") == "true":
            fail(f"{title} is an archive of a folder; push its files one by one")
        titles.append(title)
        name = place(title)
        if name is None or not is_taken(name):
            continue
        target = os.path.join(folder, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        print("fetch", title, flush=True)
        for left in (2, 1, 0):
            try:
                is_same = download(layer, target)
                break
            except (OSError, HTTPException):
                if not left:
                    raise
        if not is_same:
            fail(f"the registry gives another {title}")
        os.chmod(target, 0o644)
    if path and not any(place(title) for title in titles):
        fail(f"has no {path}, only: " + ", ".join(titles[:20]))
    for below, _, files in os.walk(folder, topdown=False):
        for name in files:
            os.utime(os.path.join(below, name), (0, 0))
        os.chmod(below, 0o755)
        os.utime(below, (0, 0))

try:
    fetch()
except (OSError, HTTPException, KeyError, ValueError) as error:
    fail(f"{type(error).__name__}: {error}")
