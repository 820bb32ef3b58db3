//! What the schema of a model takes from its signature.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::collections::BTreeMap;

use cog_python::schema::Schema;
use serde_json::{Value, json};

const HEAD: &str = "from typing import Annotated, List, NotRequired, Optional, TypedDict, Union\nimport cog\nfrom cog import BaseModel, Input, Opaque, Path\n";

/// The schemas of the class `Runner` of a file.
fn schemas(text: &str) -> Result<Value, String> {
    let files = BTreeMap::from([("run.py".to_owned(), format!("{HEAD}{text}"))]);
    let run = "run.py:Runner".parse().unwrap();
    Schema::read(Some(&run), None, &files, "0.23.1")
        .map(|schema| schema.document["components"]["schemas"].clone())
        .map_err(|report| report.to_string())
}

/// The schema of the one input of a runner, and those of its document.
fn input(before: &str, parameter: &str) -> Result<(Value, Value), String> {
    let text = format!("{before}class Runner:\n    def run(self, {parameter}) -> str: ...\n");
    let schemas = schemas(&text)?;
    let properties = schemas["Input"]["properties"].as_object().unwrap();
    let (_, property) = properties.iter().next().unwrap();
    Ok((property.clone(), schemas.clone()))
}

fn output(before: &str, returns: &str) -> Result<Value, String> {
    let text = format!("{before}class Runner:\n    def run(self) -> {returns}: ...\n");
    Ok(schemas(&text)?["Output"].clone())
}

#[test]
fn a_method_that_returns_an_input_is_followed() {
    let shared = "STRENGTH = 0.8\nclass Shared:\n    @staticmethod\n    def share(default: float, le: float = 1.0) -> Input:\n        return Input(description=\"A share\", ge=0.0, le=le, default=default)\n";
    let (share, _) = input(shared, "share: float = Shared.share(0.25)").unwrap();
    assert_eq!(share["description"], "A share");
    assert_eq!(
        (&share["minimum"], &share["maximum"], &share["default"]),
        (&json!(0.0), &json!(1.0), &json!(0.25))
    );
    let (named, _) = input(shared, "x: float = Shared.share(default=STRENGTH, le=2)").unwrap();
    assert_eq!(
        (&named["maximum"], &named["default"]),
        (&json!(2), &json!(0.8))
    );
    let (unknown, all) = input(shared, "x: float = Shared.share(compute())").unwrap();
    assert_eq!(unknown.get("default"), None);
    assert_eq!(all["Input"]["required"], json!(["x"]));
    let error = input(shared, "x: float = Shared.other(1)").unwrap_err();
    assert!(error.contains("would have to be computed"), "{error}");
}

#[test]
fn choices_keep_the_type_of_keys_and_need_no_values() {
    let dicts =
        "STEPS = {4: \"fast\", 50: \"good\"}\nSCHEDULERS = {\"ddim\": DDIM, \"euler\": Euler()}\n";
    let (_, all) = input(dicts, "steps: int = Input(choices=list(STEPS.keys()))").unwrap();
    assert_eq!(all["steps"]["enum"], json!([4, 50]));
    assert_eq!(all["steps"]["type"], "integer");
    let (_, all) = input(dicts, "s: str = Input(choices=list(SCHEDULERS.keys()))").unwrap();
    assert_eq!(all["s"]["enum"], json!(["ddim", "euler"]));
    let (_, all) = input(dicts, "s: str = Input(choices=list(SCHEDULERS) + [\"x\"])").unwrap();
    assert_eq!(all["s"]["enum"], json!(["ddim", "euler", "x"]));
    let (_, all) = input(dicts, "s: list[int] = Input(choices=[1, 2])").unwrap();
    assert_eq!(all["s"]["type"], "integer");
    let (either, _) = input(dicts, "s: int | str = Input(choices=[])").unwrap();
    assert!(either["anyOf"].is_array());
    input(dicts, "s: str = Input(choices=list(SCHEDULERS.values()))").unwrap_err();
}

#[test]
fn training_has_choices_of_its_own() {
    let text = "def run(n: int = Input(choices=[1]), m: int = Input(choices=[2])) -> str: ...\ndef train(n: int = Input(choices=[3]), m: int = Input(choices=[2])) -> str: ...\n";
    let files = BTreeMap::from([("run.py".to_owned(), format!("{HEAD}{text}"))]);
    let (run, train) = (
        "run.py:run".parse().unwrap(),
        "run.py:train".parse().unwrap(),
    );
    let schema = Schema::read(Some(&run), Some(&train), &files, "0.23.1").unwrap();
    let schemas = &schema.document["components"]["schemas"];
    let choices = |input: &str, name: &str| {
        let reference = &schemas[input]["properties"][name]["allOf"][0]["$ref"];
        let key = reference.as_str().unwrap().rsplit('/').next().unwrap();
        (key.to_owned(), schemas[key]["enum"].clone())
    };
    assert_eq!(choices("Input", "n"), ("n".into(), json!([1])));
    assert_eq!(
        choices("TrainingInput", "n"),
        ("TrainingInput.n".into(), json!([3]))
    );
    assert_eq!(choices("TrainingInput", "m"), ("m".into(), json!([2])));
}

#[test]
fn options_of_another_type_than_theirs_are_no_options() {
    let (property, _) = input(
        "NUMBER = 5\n",
        "s: str = Input(description=NUMBER, regex=NUMBER, ge=True, le=\"1\", min_length=1.5, max_length=-1, deprecated=NUMBER)",
    )
    .unwrap();
    assert_eq!(
        property,
        json!({"x-order": 0, "title": "S", "type": "string", "minLength": 1})
    );
}

#[test]
fn only_files_accept_kinds_of_files() {
    for files in ["Path", "File", "list[Path]", "Optional[Path]"] {
        let (property, _) = input("", &format!("f: {files} = Input(accept=\"image/*\")")).unwrap();
        assert_eq!(property["x-cog-accept"], "image/*");
    }
    let error = input("", "name: str = Input(accept=\"image/*\")").unwrap_err();
    assert!(error.contains("input `name` is no file"), "{error}");
}

#[test]
fn values_that_depend_on_a_condition_are_unknown() {
    let branch = "if FAST:\n    STEPS = 4\nelse:\n    STEPS = 50\n";
    let error = input(branch, "steps: int = STEPS").unwrap_err();
    assert!(error.contains("would have to be computed"), "{error}");
}

#[test]
fn the_object_of_a_method_is_no_input_whatever_it_is_called() {
    let (property, _) = {
        let text = "class Runner:\n    def run(this, s: str) -> str: ...\n";
        let all = schemas(text).unwrap();
        (all["Input"]["properties"].clone(), all)
    };
    assert_eq!(property.as_object().unwrap().len(), 1);
    let fixed = "class Runner:\n    @staticmethod\n    def run(s: str) -> str: ...\n";
    assert_eq!(schemas(fixed).unwrap()["Input"]["required"], json!(["s"]));
}

#[test]
fn any_number_of_values_is_no_input() {
    input("", "a: int, *args, **kwargs").unwrap();
    for parameters in ["*args: str", "a: int, **kwargs: str"] {
        let error = input("", parameters).unwrap_err();
        assert!(error.contains("any number of values"), "{error}");
    }
}

#[test]
fn annotated_says_what_is_optional_and_opaque() {
    let (kind, all) = input("", "v: Annotated[Union[Foreign, None], Opaque]").unwrap();
    assert_eq!(kind["nullable"], true);
    assert_eq!(all["Input"].get("required"), None);
    let (list, _) = input("", "v: Annotated[Optional[List[Foreign]], Opaque]").unwrap();
    assert_eq!(
        (&list["type"], &list["nullable"]),
        (&json!("array"), &json!(true))
    );
    let (foreign, _) = input("from other import List\n", "v: Annotated[List[X], Opaque]").unwrap();
    assert_eq!(foreign["type"], "object");
    let error = input("", "n: Annotated[int, Input(ge=1)]").unwrap_err();
    assert!(error.contains("by a call is not read"), "{error}");
    let model = "class Out(BaseModel):\n    a: Annotated[Optional[str], \"note\"]\n    b: Annotated[Optional[Foreign], Opaque] = None\n";
    let properties = output(model, "Out").unwrap()["properties"].clone();
    assert_eq!(
        properties["a"],
        json!({"type": "string", "nullable": true, "title": "A"})
    );
    assert_eq!(
        properties["b"],
        json!({"type": "object", "nullable": true, "title": "B"})
    );
}

#[test]
fn keys_of_a_typed_dict_are_there_unless_it_says_otherwise() {
    let dict = "class Out(TypedDict):\n    a: Optional[str]\n    b: NotRequired[int]\n";
    assert_eq!(output(dict, "Out").unwrap()["required"], json!(["a"]));
    let model = "class Out(BaseModel):\n    b: NotRequired[int]\n";
    let error = output(model, "Out").unwrap_err();
    assert!(error.contains("`NotRequired[…]` is no type"), "{error}");
    let mixin = "class Plain:\n    a: int\nclass Base(BaseModel):\n    b: int\nclass Out(Plain, Base):\n    c: int\n";
    assert_eq!(output(mixin, "Out").unwrap()["required"], json!(["b", "c"]));
    let twice = "class Out(BaseModel):\n    a: int\nclass Out(BaseModel):\n    b: int\n";
    assert_eq!(output(twice, "Out").unwrap()["required"], json!(["b"]));
}

#[test]
fn only_iterators_stream() {
    let streaming = |returns: &str| {
        schemas(&format!(
            "class Runner:\n    @cog.streaming\n    def run(self) -> {returns}: ...\n"
        ))
    };
    streaming("Iterator[str]").unwrap();
    streaming("ConcatenateIterator[str]").unwrap();
    let error = streaming("list[str]").unwrap_err();
    assert!(error.contains("returns no iterator"), "{error}");
}

#[test]
fn f_strings_may_be_written_as_python_3_12_allows() {
    let runner = |text: &str| {
        schemas(&format!(
            "class Runner:\n    def run(self, s: str = \"# not {{a\") -> str:\n        return {text}\n"
        ))
    };
    for text in [
        r#"f"{names["first"]} and {", ".join(names)}""#,
        r#"f"{f"{f"{s}"}"}""#,
        "f\"{\n            s  # a comment with }\n        }\"",
        r#"f"{{literal}} {s!r:>{width["of"]}} \" {x[1:2]}""#,
        "rf'''{d['''k''']}\n'''",
    ] {
        let all = runner(text).unwrap();
        assert_eq!(all["Input"]["properties"]["s"]["default"], "# not {a");
    }
    let error = runner("f\"{names[\"first\"]}\" + + )").unwrap_err();
    assert!(error.contains("is not valid Python"), "{error}");
    let error = runner("f\"{never ends").unwrap_err();
    assert!(error.contains("is not valid Python"), "{error}");
    // The text of such a string is no default.
    let both = "class Runner:\n    def run(self, s: str = f\"{a[\"b\"]}\") -> str: ...\n";
    let error = schemas(both).unwrap_err();
    assert!(error.contains("would have to be computed"), "{error}");
}

#[test]
fn what_has_no_end_is_refused() {
    for (before, default) in [
        ("class A:\n    x = A.x\n", "A.x"),
        ("class A:\n    x = B.x\nclass B:\n    x = A.x\n", "A.x"),
    ] {
        let error = input(before, &format!("x: str = {default}")).unwrap_err();
        assert!(error.contains("would have to be computed"), "{error}");
    }
    let deep = format!("X = {}1\n", "-".repeat(100_000));
    let error = input(&deep, "x: int = 1").unwrap_err();
    assert!(error.contains("nested too deeply"), "{error}");
    let deep = format!(
        "x: \"{}str{}\"",
        "List[".repeat(100_000),
        "]".repeat(100_000)
    );
    let error = input("", &deep).unwrap_err();
    assert!(
        error.contains("is not known"),
        "{}",
        &error[..200.min(error.len())]
    );
}
