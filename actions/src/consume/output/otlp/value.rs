//! Values and attributes of OpenTelemetry.

use dlang::eval::Value;
use dlang::types::{Int, Type};
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};

use super::super::super::convert::{float, until_nul};
use super::super::values::Text;

pub(super) fn text(text: impl Into<String>) -> AnyValue {
    any(any_value::Value::StringValue(text.into()))
}

pub(super) fn number(number: i64) -> AnyValue {
    any(any_value::Value::IntValue(number))
}

pub(super) fn bytes(bytes: &[u8]) -> AnyValue {
    any(any_value::Value::BytesValue(bytes.to_vec()))
}

fn any(value: any_value::Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

/// One value, or several as an array; `None` for none.
pub(super) fn all(mut values: Vec<AnyValue>) -> Option<AnyValue> {
    if values.len() > 1 {
        return Some(any(any_value::Value::ArrayValue(ArrayValue { values })));
    }
    values.pop()
}

pub(super) fn attribute(key: impl Into<String>, value: AnyValue) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(value),
        ..KeyValue::default()
    }
}

/// A value of D. Numbers that are larger than OpenTelemetry's are texts.
pub(super) fn of(value: &Value<'_>, ty: &Type) -> AnyValue {
    match (value, ty) {
        (Value::Int(n), Type::Float(size)) => {
            let int = if *size == 4 { Int::U32 } else { Int::U64 };
            any(any_value::Value::DoubleValue(float(*n, int)))
        }
        (Value::Int(n), _) => match ty.as_int() {
            Some(int) if !int.signed => {
                let n = int.wrap(*n).cast_unsigned();
                i64::try_from(n).map_or_else(|_| text(n.to_string()), number)
            }
            Some(int) => number(int.wrap(*n)),
            None => number(*n),
        },
        (Value::Str(frames), Type::Stack) => {
            let lines = frames.split(|byte| *byte == b'\n');
            let lines = lines.filter(|line| !line.is_empty());
            let values = lines.map(|line| text(Text(line).to_string())).collect();
            any(any_value::Value::ArrayValue(ArrayValue { values }))
        }
        (Value::Str(memory), Type::Struct(_) | Type::Array(..)) => bytes(memory),
        (Value::Str(string), _) => text(Text(until_nul(string)).to_string()),
    }
}
