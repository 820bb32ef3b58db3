//! Values that are written out: defaults, choices, descriptions.

use rustpython_parser::ast::{Constant, Expr, UnaryOp};
use serde_json::{Map, Number, Value, json};

/// The value of an expression that needs no running; nothing for others.
pub(super) fn value(expression: &Expr) -> Option<Value> {
    match expression {
        Expr::Constant(constant) => constant_value(&constant.value),
        Expr::List(list) => list.elts.iter().map(value).collect(),
        Expr::Tuple(tuple) => tuple.elts.iter().map(value).collect(),
        Expr::Set(set) => set.elts.iter().map(value).collect(),
        Expr::Dict(dict) => {
            let mut map = Map::new();
            for (key, entry) in dict.keys.iter().zip(&dict.values) {
                let key = match value(key.as_ref()?)? {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                map.insert(key, value(entry)?);
            }
            Some(Value::Object(map))
        }
        Expr::UnaryOp(operation) => {
            let number = value(&operation.operand)?;
            match operation.op {
                UnaryOp::USub => match (number.as_i64(), number.as_f64()) {
                    (Some(integer), _) => Some(json!(-integer)),
                    (None, Some(float)) => Number::from_f64(-float).map(Value::Number),
                    _ => None,
                },
                UnaryOp::UAdd if number.is_number() => Some(number),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The keys of a dict that is written out, as far as its keys are.
pub(super) fn keys(expression: &Expr) -> Option<Vec<Value>> {
    let Expr::Dict(dict) = expression else {
        return None;
    };
    dict.keys.iter().map(|key| value(key.as_ref()?)).collect()
}

fn constant_value(constant: &Constant) -> Option<Value> {
    Some(match constant {
        Constant::None => Value::Null,
        Constant::Bool(value) => json!(value),
        Constant::Str(text) => json!(text),
        Constant::Int(number) => json!(i64::try_from(number).ok()?),
        Constant::Float(number) => Value::Number(Number::from_f64(*number)?),
        _ => return None,
    })
}
