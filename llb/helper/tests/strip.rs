//! Debug information, taken out of what gcc makes: what is left runs, and has the sections that binutils would leave.

#![expect(clippy::unwrap_used, reason = "a panic is the report of a test")]

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use llb_helper::strip::strip_debug;
use tempfile::TempDir;

const LIBRARY: &str = "int numbers[1000];\nstatic int hidden(int number) { return number * 2; }\nint twice(int number) { numbers[number % 1000]++; return hidden(number); }\n";
const PROGRAM: &str = "#include <stdio.h>\nint twice(int);\n__thread int of_thread = 5;\nint main(void) { printf(\"%d\\n\", twice(20) + of_thread); return 0; }\n";

/// A library, and a program that needs it.
struct Built {
    folder: TempDir,
}

impl Built {
    /// Made with these options of gcc.
    fn with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("twice.c"), LIBRARY).unwrap();
        fs::write(path("main.c"), PROGRAM).unwrap();
        let gcc = |arguments: &[&str]| {
            let mut command = Command::new("gcc");
            command.args(options).args(arguments);
            succeeded(command.current_dir(folder.path()));
        };
        gcc(&["-shared", "-fPIC", "-o", "libtwice.so", "twice.c"]);
        gcc(&[
            "-o",
            "main",
            "main.c",
            "-L.",
            "-ltwice",
            "-Wl,-rpath,$ORIGIN",
        ]);
        Self { folder }
    }

    fn files(&self) -> [PathBuf; 2] {
        ["libtwice.so", "main"].map(|name| self.folder.path().join(name))
    }

    fn run(&self) -> String {
        succeeded(&mut Command::new(self.folder.path().join("main")))
    }
}

fn succeeded(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn strip(path: &Path) -> bool {
    let file = OpenOptions::new().read(true).write(true).open(path);
    strip_debug(&file.unwrap()).unwrap()
}

/// Names of sections, in their order; readelf must have nothing to complain about.
fn sections(path: &Path) -> Vec<String> {
    let mut command = Command::new("readelf");
    command
        .args(["--wide", "--all"])
        .arg(path)
        .env("LC_ALL", "C");
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "{error}");
    let text = String::from_utf8_lossy(&output.stdout);
    let names = text.lines().filter_map(|line| {
        let (number, rest) = line.trim_start().strip_prefix('[')?.split_once(']')?;
        number
            .trim()
            .parse::<u32>()
            .ok()
            .filter(|_| line.len() > 60)?;
        Some(rest.split_whitespace().next()?.to_owned())
    });
    names.collect()
}

/// Symbols with their values, kinds and the names of their sections, but for those of files and sections.
fn symbols(path: &Path) -> Vec<String> {
    let mut command = Command::new("objdump");
    let text = succeeded(
        command
            .args(["--wide", "--syms", "--dynamic-syms"])
            .arg(path),
    );
    let named = text
        .lines()
        .filter(|line| line.len() > 25 && line.starts_with("00"));
    let named = named.filter(|line| {
        !line[17..24].contains('d') || line[17..24].contains("DF") || line[17..24].contains("DO")
    });
    named.map(str::to_owned).collect()
}

/// Ways to make what has debug information in it.
const WAYS: [&[&str]; 6] = [
    &["-g"],
    &["-g3", "-O2", "-Wl,-z,noseparate-code"],
    &["-g", "-gz"],
    &["-g", "-Wl,-z,max-page-size=2097152"],
    &["-g", "-Wl,--emit-relocs"],
    &["-g", "-Wl,--hash-style=sysv,-z,norelro"],
];

#[test]
fn sections_for_debuggers_go_and_the_rest_works_as_before() {
    for way in WAYS {
        let built = Built::with(way);
        assert_eq!(built.run(), "45\n");
        for path in built.files() {
            let before = fs::metadata(&path).unwrap().len();
            assert!(
                sections(&path)
                    .iter()
                    .any(|name| name.starts_with(".debug_info")),
                "{way:?}"
            );
            let known = symbols(&path);
            let other = path.with_extension("binutils");
            succeeded(
                Command::new("strip")
                    .arg("-S")
                    .arg("-o")
                    .arg(&other)
                    .arg(&path),
            );
            assert!(strip(&path), "{way:?} {}", path.display());
            assert_eq!(sections(&path), sections(&other), "{way:?}");
            assert_eq!(symbols(&path), known, "{way:?}");
            let (own, theirs) = [&path, &other]
                .map(|path| fs::metadata(path).unwrap().len())
                .into();
            assert!(own < before, "{way:?}: {own} of {before}");
            // Names of files and of sections that are gone stay in the tables of names.
            assert!(own < theirs + 2048, "{way:?}: {own}, {theirs} by binutils");
            // There is nothing left to take out.
            let content = fs::read(&path).unwrap();
            assert!(!strip(&path));
            assert_eq!(fs::read(&path).unwrap(), content);
        }
        assert_eq!(built.run(), "45\n", "{way:?}");
    }
}

/// A library as patchelf leaves one: with a segment behind the debug sections, and a zero behind that.
fn with_segment_at_the_end(library: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let long = |at: usize| u64::from_le_bytes(library[at..at + 8].try_into().unwrap());
    let mut content = library.to_vec();
    content.resize(library.len().next_multiple_of(4096) + 512, 0);
    let offset = content.len() as u64;
    let loaded: Vec<u8> = (0..=255).cycle().take(5000).collect();
    content.extend(&loaded);
    content.push(0);
    // The last note becomes the new segment, above all others.
    let table = usize::try_from(long(32)).unwrap();
    let count = usize::from(u16::from_le_bytes([library[56], library[57]]));
    let kinds = (0..count).map(|number| table + number * 56);
    let note = kinds.clone().rfind(|at| library[*at] == 4).unwrap();
    let mut header = Vec::new();
    header.extend(1_u32.to_le_bytes());
    header.extend(4_u32.to_le_bytes());
    let address = (1 << 30) + 512;
    for value in [offset, address, address, 5000, 5000, 4096] {
        header.extend(value.to_le_bytes());
    }
    content[note..note + 56].copy_from_slice(&header);
    (content, loaded)
}

#[test]
fn segments_behind_debug_information_move_with_their_content() {
    let built = Built::with(&["-g3"]);
    let [library, _] = built.files();
    let (content, loaded) = with_segment_at_the_end(&fs::read(&library).unwrap());
    fs::write(&library, &content).unwrap();
    assert_eq!(built.run(), "45\n");
    assert!(strip(&library));
    assert_eq!(built.run(), "45\n");
    assert!(!sections(&library).iter().any(|name| name.contains("debug")));
    let stripped = fs::read(&library).unwrap();
    assert!(stripped.len() + 4096 < content.len(), "{}", stripped.len());
    let place = stripped
        .windows(loaded.len())
        .position(|window| window == loaded);
    assert_eq!(place.unwrap() % 4096, 512);
}

#[test]
fn the_same_file_gives_the_same_bytes() {
    let built = Built::with(&["-g"]);
    let [library, _] = built.files();
    let copy = library.with_extension("copy");
    fs::copy(&library, &copy).unwrap();
    assert!(strip(&library) && strip(&copy));
    assert_eq!(fs::read(&library).unwrap(), fs::read(&copy).unwrap());
}

#[test]
fn what_is_no_program_or_library_of_a_known_form_is_left_as_it_is() {
    let built = Built::with(&["-g"]);
    let [library, program] = built.files();
    let good = fs::read(&library).unwrap();
    let object = built.folder.path().join("twice.o");
    let mut gcc = Command::new("gcc");
    succeeded(
        gcc.args(["-g", "-c", "twice.c"])
            .current_dir(built.folder.path()),
    );
    let archive = built.folder.path().join("libtwice.a");
    succeeded(Command::new("ar").arg("rcs").args([&archive, &object]));
    let mut contents = vec![
        Vec::new(),
        b"\x7fELF".to_vec(),
        b"print(1)\n".to_vec(),
        fs::read(&object).unwrap(),
        fs::read(&archive).unwrap(),
        // A signature at the end.
        [good.as_slice(), b"signed"].concat(),
    ];
    contents.extend((0..good.len()).step_by(97).map(|end| good[..end].to_vec()));
    // Another width, another order of bytes.
    for at in [4, 5] {
        let mut other = good.clone();
        other[at] ^= 3;
        contents.push(other);
    }
    let path = program.with_extension("odd");
    for content in contents {
        fs::write(&path, &content).unwrap();
        assert!(!strip(&path), "{} bytes", content.len());
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}

/// Whatever a byte of the tables says, nothing is read or written out of bounds, and no file grows.
#[test]
fn broken_tables_do_no_harm() {
    let built = Built::with(&["-g"]);
    let [library, program] = built.files();
    let good = fs::read(&library).unwrap();
    let sections = usize::try_from(u64::from_le_bytes(good[40..48].try_into().unwrap())).unwrap();
    let path = program.with_extension("broken");
    let mut file = OpenOptions::new();
    let file = file.read(true).write(true).create(true).truncate(false);
    let file = file.open(&path).unwrap();
    for (at, value) in (0..400)
        .chain(sections..good.len())
        .zip([0x00, 0x7f, 0xff].into_iter().cycle())
    {
        let mut content = good.clone();
        content[at] = value;
        file.write_all_at(&content, 0).unwrap();
        strip_debug(&file).unwrap();
        assert!(file.metadata().unwrap().len() <= good.len() as u64);
    }
}
