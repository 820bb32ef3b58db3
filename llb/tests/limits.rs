//! Input that is wrong or absurd: an error, or a result, in time and memory that its bytes justify.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};

use llb::prelude::*;
use llb::proto::pb;
use prost::Message as _;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// All allocations of the process are counted, so only one test at a time runs.
fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reading may allocate so many bytes for each byte of a definition, over all: less is alive at once.
const MOST_FOR_A_BYTE: usize = 100;

/// What a call gives, and how many bytes it allocated, in a thread with half the usual stack.
fn measured<R: Send>(run: impl FnOnce() -> R + Send) -> (R, usize) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        let thread = thread.spawn_scoped(scope, || {
            let region = Region::new(ALLOCATOR);
            let result = run();
            (result, region.change().bytes_allocated)
        });
        thread.unwrap().join().unwrap()
    })
}

/// Reads bytes, and fails if that takes more memory than they justify.
#[track_caller]
fn read(bytes: &[u8]) -> Result<Definition, llb::Error> {
    let (definition, allocated) = measured(|| Definition::from_bytes(bytes));
    let most = MOST_FOR_A_BYTE * bytes.len() + 4096;
    assert!(allocated <= most, "{allocated} bytes for {}", bytes.len());
    definition
}

#[track_caller]
fn error(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

fn message() -> pb::Definition {
    let state = image("alpine").run(sh("true").name("x"));
    let definition = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
    pb::Definition::decode(&*definition.to_bytes()).unwrap()
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
}

fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    varint(&mut bytes, content.len() as u64);
    bytes.extend_from_slice(content);
    bytes
}

/// A definition of these ops and one that names the last of them.
fn definition_of(ops: &[Vec<u8>]) -> Vec<u8> {
    let head = llb::OpDigest::of(ops.last().unwrap()).to_string();
    let last = field(1, &field(1, head.as_bytes()));
    ops.iter()
        .chain([&last])
        .flat_map(|op| field(1, op))
        .collect()
}

fn merge_of(inputs: impl IntoIterator<Item = String>) -> Vec<u8> {
    let mut op = pb::Op::default();
    let mut merge = pb::MergeOp::default();
    for (input, digest) in (0..).zip(inputs) {
        op.inputs.push(pb::Input { digest, index: 0 });
        merge.inputs.push(pb::MergeInput { input });
    }
    op.op = Some(pb::op::Op::Merge(merge));
    op.encode_to_vec()
}

fn source(name: &str) -> Vec<u8> {
    let identifier = format!("local://{name}");
    let source = pb::SourceOp {
        identifier,
        ..pb::SourceOp::default()
    };
    let op = Some(pb::op::Op::Source(source));
    pb::Op {
        op,
        ..pb::Op::default()
    }
    .encode_to_vec()
}

#[test]
fn lengths_of_gigabytes_allocate_nothing() {
    let _alone = alone();
    // Lengths in front of an op, an entry, a source file, and the text inside of one; up to 2^63.
    for claimed in [1 << 20, 1 << 31, (1 << 32) + 1, 1 << 40, 1 << 62, 1 << 63] {
        for path in [
            &[1][..],
            &[2],
            &[2, 2],
            &[3],
            &[3, 2],
            &[3, 2, 2],
            &[3, 2, 3, 1],
        ] {
            let (last, outer) = path.split_last().unwrap();
            let mut bytes = vec![last << 3 | 2];
            varint(&mut bytes, claimed);
            bytes.extend_from_slice(b"only a few bytes");
            for number in outer.iter().rev() {
                bytes = field(*number, &bytes);
            }
            let (read, allocated) = measured(|| Definition::from_bytes(&bytes).map(drop));
            let error = read.unwrap_err().to_string();
            assert!(error.contains(&format!("says {claimed} bytes")), "{error}");
            assert!(allocated < 4096, "{allocated} bytes for {path:?}");
        }
    }
}

#[test]
fn lengths_of_gigabytes_inside_of_ops_are_refused() {
    let _alone = alone();
    for path in [
        &[1][..],
        &[1, 1],
        &[2, 1, 1],
        &[3, 1],
        &[4, 2, 5, 3],
        &[10, 1],
    ] {
        let (last, outer) = path.split_last().unwrap();
        let mut bytes = vec![last << 3 | 2];
        varint(&mut bytes, 1 << 33);
        for number in outer.iter().rev() {
            bytes = field(*number, &bytes);
        }
        let error = error(&definition_of(&[bytes]));
        assert!(error.starts_with("invalid op sha256:"), "{error}");
        assert!(
            error.contains("says 8589934592 bytes, but there are 0"),
            "{error}"
        );
    }
}

#[test]
fn every_cut_of_a_definition_is_refused_or_read() {
    let _alone = alone();
    let bytes = message().encode_to_vec();
    let mut refused = 0;
    for length in 0..bytes.len() {
        match read(&bytes[..length]) {
            // What is left may be a whole definition of its own.
            Ok(definition) => _ = definition.to_text(),
            Err(error) => {
                assert!(error.to_string().starts_with("invalid "), "{error}");
                refused += 1;
            }
        }
    }
    assert!(
        refused > bytes.len() * 9 / 10,
        "{refused} of {}",
        bytes.len()
    );
}

#[test]
fn digests_that_are_not_those_of_the_ops_are_refused() {
    let _alone = alone();
    let wrong = llb::OpDigest::of(b"another op").to_string();
    let mut dangling = message();
    let mut last = pb::Op::decode(dangling.def.pop().unwrap()).unwrap();
    last.inputs[0].digest.clone_from(&wrong);
    dangling.def.push(last.encode_to_vec().into());
    let expected = format!("reads {wrong:?}, which is not in it");
    assert!(error(&dangling.encode_to_vec()).contains(&expected));

    for digest in [
        "",
        "sha256:",
        "sha256:zz",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
    ] {
        last.inputs[0].digest = digest.to_owned();
        dangling.def.pop();
        dangling.def.push(last.encode_to_vec().into());
        assert!(error(&dangling.encode_to_vec()).contains("which is not in it"));
    }

    // An op that was changed has another digest: whoever reads it or describes it means one that is not there.
    let mut changed = message();
    changed.def[0] = source("another").into();
    assert!(error(&changed.encode_to_vec()).contains("which is not in it"));

    let mut described = message();
    described
        .metadata
        .insert(wrong.clone(), pb::OpMetadata::default());
    assert!(error(&described.encode_to_vec()).contains(&format!("describes op {wrong:?}")));
    let mut placed = message();
    let places = &mut placed.source.get_or_insert_default().locations;
    places.insert(wrong.clone(), pb::Locations::default());
    assert!(error(&placed.encode_to_vec()).contains(&format!("describes op {wrong:?}")));
}

#[test]
fn a_definition_without_the_op_that_names_the_result_is_refused() {
    let _alone = alone();
    let mut message = message();
    let last = message.def.pop().unwrap();
    let expected = "its last op must have one input and nothing else";
    assert!(error(&message.encode_to_vec()).contains(expected));
    // Nor may it stand anywhere else, or read two ops, or none.
    message.def.insert(0, last);
    assert!(error(&message.encode_to_vec()).starts_with("invalid definition: "));
    let ops = [source("a"), source("b")];
    let mut two = definition_of(&ops);
    two.truncate(two.len() - 77);
    let digests = ops.each_ref().map(|op| llb::OpDigest::of(op).to_string());
    let inputs = digests
        .iter()
        .flat_map(|digest| field(1, &field(1, digest.as_bytes())));
    let mut with_two = two.clone();
    with_two.extend(field(1, &inputs.collect::<Vec<_>>()));
    assert!(error(&with_two).contains(expected));
    two.extend(field(1, b""));
    assert!(error(&two).contains(expected));
}

#[test]
fn texts_that_read_themselves_are_refused() {
    let _alone = alone();
    for text in [
        "%a = merge %a, %a\nreturn %a\n",
        "%a = merge %b, %b\n%b = merge %c, %c\n%c = merge %a, %a\nreturn %a\n",
    ] {
        let (read, _) = measured(|| Definition::from_text(text).map(drop));
        let error = read.unwrap_err().to_string();
        assert!(error.contains("reads its own result"), "{error}");
    }
    // A ring of very many ops is found without the call stack.
    let ring = |count: usize| {
        let ops = (0..count).map(|op| format!("%op{op} = merge %op{}, %base\n", (op + 1) % count));
        let ops: String = ops.collect();
        format!("%base = local \"base\"\n{ops}return %op0\n")
    };
    let (read, _) = measured(|| Definition::from_text(&ring(20_000)).map(drop));
    assert!(
        read.unwrap_err()
            .to_string()
            .contains("reads its own result")
    );
}

#[test]
fn a_million_tiny_ops_are_read() {
    let _alone = alone();
    // Half of them are alike, in pairs far apart.
    let ops: Vec<Vec<u8>> = (0..1_000_000_u32)
        .map(|number| {
            let digit = |place: u32| u8::try_from(((number % 500_000) >> place) & 0x7f).unwrap();
            vec![0x1a, 0x05, 0x0a, 0x03, digit(0), digit(7), digit(14)]
        })
        .collect();
    let definition = read(&definition_of(&ops)).unwrap();
    assert_eq!(definition.ops().len(), 500_001);
    // Nothing describes them, and BuildKit refuses such a definition.
    assert!(definition.canonical().is_err());
}

#[test]
fn an_op_with_very_many_inputs_is_read_and_built_on() {
    let _alone = alone();
    let base = source("base");
    let digest = llb::OpDigest::of(&base).to_string();
    let wide = merge_of(std::iter::repeat_n(digest.clone(), 100_000));
    let mut bytes = definition_of(&[base.clone(), wide]);
    let never_cached = field(2, &[0x08, 0x01]);
    let metadata = [field(1, digest.as_bytes()), never_cached].concat();
    bytes.extend(field(2, &metadata));
    let definition = read(&bytes).unwrap();
    let (again, _) = measured(|| definition.canonical().unwrap());
    assert_eq!(again.ops()[..2], definition.ops()[..2]);
    let (findings, _) = measured(|| definition.verify().len());
    assert!(findings > 0);

    // None of a million is there.
    let inputs = vec![field(1, b""); 1_000_000].concat();
    assert!(error(&definition_of(&[base, inputs])).contains("reads \"\", which is not in it"));
}

#[test]
fn very_many_empty_parts_are_read() {
    let _alone = alone();
    let digest = llb::OpDigest::of(&source("a")).to_string();
    for empty in [
        // Ops, source files; mounts, actions and layers of an op.
        field(1, b"").repeat(200_000),
        field(3, &field(2, b"").repeat(200_000)),
        field(1, &field(2, &field(2, b"").repeat(200_000))),
        field(1, &field(4, &field(2, b"").repeat(200_000))),
        field(1, &field(6, &field(1, b"").repeat(200_000))),
        // Descriptions and capabilities of one op; its places.
        field(
            2,
            &[
                field(1, digest.as_bytes()),
                field(2, &field(2, b"").repeat(200_000)),
            ]
            .concat(),
        ),
        field(
            2,
            &[
                field(1, digest.as_bytes()),
                field(2, &field(5, b"").repeat(200_000)),
            ]
            .concat(),
        ),
        field(
            3,
            &[
                field(2, b""),
                field(
                    1,
                    &[
                        field(1, digest.as_bytes()),
                        field(2, &field(1, b"").repeat(200_000)),
                    ]
                    .concat(),
                ),
            ]
            .concat(),
        ),
    ] {
        let bytes = [empty, definition_of(&[source("a")])].concat();
        read(&bytes).unwrap();
    }
}

#[test]
fn definitions_in_definitions_are_read_to_some_depth() {
    let _alone = alone();
    let nested = |depth: usize| {
        (0..depth).fold(Vec::new(), |inner, _| {
            // Definition.source, Source.infos, SourceInfo.definition
            field(3, &field(2, &field(3, &inner)))
        })
    };
    let deepest = read(&nested(33)).unwrap();
    let (again, _) = measured(|| Definition::from_text(&deepest.to_full_text()).unwrap());
    assert_eq!(again, deepest);
    assert!(error(&nested(34)).contains("nested too deeply"));
    // 10,000 levels take 100 kB of lengths.
    assert!(error(&nested(10_000)).contains("nested too deeply"));
}

#[test]
fn memory_is_in_proportion_to_the_ops() {
    let _alone = alone();
    let chain = |count: usize| {
        let state = (0..count).fold(image("alpine"), |state, step| {
            state.run(sh(format!("step {step}")).env("STEP", step.to_string()))
        });
        let definition = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
        let bytes = definition.to_bytes();
        let read = Definition::from_bytes(&bytes).unwrap();
        assert!(read == definition && read.canonical().unwrap() == definition);
        read.to_text().len()
    };
    let ((), few) = measured(|| _ = chain(4_000));
    let ((), many) = measured(|| _ = chain(16_000));
    assert!(
        many < 5 * few,
        "{few} bytes, and {many} for four times the ops"
    );
}
