//! Graphs of plans: their text, and what a change of the project leaves as it was.

mod common;

use cog_python::Plan;
use cog_python::layer::{Base, Joining, graph};
use common::{example, plan_of};
use llb::MarshalOptions;

fn text(plan: &Plan, joining: Joining) -> String {
    graph(plan, &Base::default(), joining).unwrap().to_text()
}

#[test]
fn the_example_as_a_graph() {
    insta::assert_snapshot!(text(&example(), Joining::Merge));
}
