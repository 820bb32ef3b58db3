//! Laws of merges and diffs: what they drop, keep and order.

use llb::Diff;
use llb::prelude::*;
use llb::proto::pb;
use llb::value::Capability;
use proptest::prelude::*;
use prost::Message as _;

use crate::graphs;

fn marshal(state: &State) -> Option<Definition> {
    state.marshal(&MarshalOptions::linux_amd64()).ok()
}

fn head(definition: &Definition) -> pb::Op {
    let head = definition.head().unwrap();
    let op = definition.ops().iter().find(|op| op.digest() == head);
    pb::Op::decode(op.unwrap().bytes()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn merging_one_state_is_that_state(calls in graphs::calls()) {
        let state = graphs::build(&calls);
        let Some(expected) = marshal(&state) else { return Ok(()) };
        prop_assert_eq!(marshal(&merge([state.clone()])).unwrap(), expected.clone());
        prop_assert_eq!(marshal(&merge([scratch(), state, scratch()])).unwrap(), expected);
    }

    #[test]
    fn a_merge_reads_each_input_in_order_and_as_often_as_given(calls in graphs::calls(), other in graphs::calls()) {
        let states = [graphs::build(&calls), graphs::build(&other)];
        let [Some(one), Some(two)] = states.each_ref().map(marshal) else { return Ok(()) };
        let (Some(one), Some(two)) = (one.head(), two.head()) else { return Ok(()) };
        let [a, b] = states;
        let merged = marshal(&merge([a.clone(), b, scratch(), a])).unwrap();
        let op = head(&merged);
        let read: Vec<_> = op.inputs.iter().map(|input| input.digest.clone()).collect();
        prop_assert_eq!(read, [one, two, one].map(|digest| digest.to_string()));
        let Some(pb::op::Op::Merge(merge)) = op.op else { panic!("a merge is a merge") };
        prop_assert_eq!(merge.inputs.iter().map(|input| input.input).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn nested_merges_stay_nested(calls in graphs::calls()) {
        let state = graphs::build(&calls);
        let Some(definition) = marshal(&state) else { return Ok(()) };
        if definition.head().is_none() {
            return Ok(());
        }
        let inner = merge([state.clone(), image("other")]);
        let outer = head(&marshal(&merge([inner, state])).unwrap());
        prop_assert_eq!(outer.inputs.len(), 2);
    }

    #[test]
    fn a_difference_to_nothing_is_the_state(calls in graphs::calls()) {
        let state = graphs::build(&calls);
        let Some(expected) = marshal(&state) else { return Ok(()) };
        prop_assert_eq!(marshal(&diff(scratch(), state)).unwrap(), expected);
    }

    #[test]
    fn a_difference_reads_the_lower_then_the_upper(calls in graphs::calls(), other in graphs::calls()) {
        let states = [graphs::build(&calls), graphs::build(&other)];
        let [Some(one), Some(two)] = states.each_ref().map(marshal) else { return Ok(()) };
        let (Some(one), Some(two)) = (one.head(), two.head()) else { return Ok(()) };
        let [lower, upper] = states;
        let definition = marshal(&diff(lower, upper)).unwrap();
        let op = head(&definition);
        let read: Vec<_> = op.inputs.iter().map(|input| input.digest.clone()).collect();
        prop_assert_eq!(read, [one, two].map(|digest| digest.to_string()));
        let Some(pb::op::Op::Diff(diff)) = op.op else { panic!("a diff is a diff") };
        prop_assert_eq!((diff.lower.unwrap().input, diff.upper.unwrap().input), (0, 1));
        let caps = definition.metadata(definition.head()).unwrap().caps;
        prop_assert!(caps.contains(Capability::DiffOp));
    }

    #[test]
    fn a_difference_of_a_state_to_itself_is_an_op_with_two_inputs(calls in graphs::calls()) {
        let state = graphs::build(&calls);
        let Some(definition) = marshal(&state) else { return Ok(()) };
        if definition.head().is_none() {
            return Ok(());
        }
        let op = head(&marshal(&diff(state.clone(), state.clone())).unwrap());
        prop_assert_eq!(op.inputs.len(), 2);
        prop_assert_eq!(&op.inputs[0], &op.inputs[1]);
        let op = head(&marshal(&Diff::new(state, scratch()).state()).unwrap());
        let Some(pb::op::Op::Diff(diff)) = op.op else { panic!("a diff is a diff") };
        prop_assert_eq!((diff.lower.unwrap().input, diff.upper.unwrap().input), (0, -1));
    }
}

#[test]
fn nothing_merged_or_compared_is_scratch() {
    let nothing = merge([scratch(), scratch()]);
    for state in [
        merge(<[State; 0]>::default()),
        nothing,
        diff(scratch(), scratch()),
    ] {
        assert_eq!(marshal(&state).unwrap(), Definition::default());
    }
}

#[test]
fn the_values_of_a_merge_are_those_of_its_first_input() {
    let (a, b) = (image("a").dir("/a"), image("b").dir("/b"));
    assert_eq!(merge([a.clone(), b.clone()]).current_dir(), Some("/a"));
    assert_eq!(diff(a.clone(), b.clone()).current_dir(), Some("/a"));
    assert_eq!(diff(scratch(), b).current_dir(), Some("/b"));
}
