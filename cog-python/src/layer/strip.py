import csv, hashlib, os, re, subprocess, sys
from base64 import urlsafe_b64encode

debug = re.compile(rb"\] \.(z?debug|stab|line|gdb_index|gnu\.debuglto_\.debug_|gnu\.linkonce\.wi\.)")
changed = {}
infos = []
for folder, folders, files in os.walk(sys.argv[1]):
    infos += [os.path.join(folder, name) for name in folders if name.endswith(".dist-info")]
    for path in (os.path.join(folder, name) for name in files):
        if os.path.islink(path):
            continue
        with open(path, "rb") as file:
            start = file.read(18)
        # Programs and libraries, but no object files.
        if start[:4] != b"\x7fELF" or start[16:] not in (b"\2\0", b"\3\0"):
            continue
        sections = subprocess.run(["readelf", "--sections", "--wide", path], stdout=subprocess.PIPE)
        if debug.search(sections.stdout) and subprocess.run(["strip", "--strip-debug", path]).returncode == 0:
            with open(path, "rb") as file:
                content = file.read()
            digest = urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            changed[path] = ["sha256=" + digest, str(len(content))]
for info in infos:
    record = os.path.join(info, "RECORD")
    if not os.path.exists(record):
        continue
    with open(record, newline="") as file:
        lines = list(csv.reader(file))
    for line in lines:
        path = os.path.normpath(os.path.join(os.path.dirname(info), line[0]))
        line[1:] = changed.get(path, line[1:])
    with open(record, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
