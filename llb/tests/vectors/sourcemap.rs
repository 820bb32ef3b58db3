//! Places in source files.

use llb::prelude::*;
use llb::{Merge, Position, Range, SourceMap};

use crate::support::vectors;

fn position(line: i32, character: i32) -> Position {
    Position { line, character }
}

vectors! {
    sourcemap_one => {
        let map = SourceMap::new("Dockerfile", "Dockerfile", "FROM a\n");
        Image::new("a").location(map.location([Range::from(position(1, 0)..position(1, 6))])).state()
    };
    sourcemap_multiple => {
        let first = SourceMap::new("foo", "lang1", "data1");
        let second = SourceMap::new("bar", "lang2", "data2");
        Image::new("a")
            .location(first.location([Range::line(7), Range::from(position(9, 0)..position(10, 0))]))
            .location(second.location([Range::line(8)]))
            .location(first.location([Range::default()]))
            .state()
    };
    sourcemap_nil => Image::new("a").location(None).state();
    sourcemap_empty_ranges => Image::new("a").location(SourceMap::new("f", "", "").location([])).state();
    sourcemap_equal_maps => {
        let map = |language: &str| SourceMap::new("f", language, "x");
        Image::new("a").location(map("go").location([Range::line(1)])).state().run(
            shlex("x")
                .location(map("go").location([Range::line(2)]))
                .location(map("py").location([Range::line(3)])),
        )
    };
    sourcemap_graph => {
        let map = SourceMap::new("f", "l", "x");
        let line = |line| map.location([Range::line(line)]);
        let a = Image::new("a").location(line(1)).state().file(mkdir("/d", 0o755)).run(shlex("x").location(line(2)));
        let b = Image::new("a").location(line(3)).state().file(mkdir("/d", 0o755).location(line(4)));
        Merge::new([a, b]).location(line(5)).state()
    };
    sourcemap_with_state => {
        let source = local("dockerfile").shared_key_hint("h");
        let map = SourceMap::new("Dockerfile", "Dockerfile", "FROM a").with_state(source);
        Image::new("a").location(map.location([Range::line(1)])).state()
    };
}
