//! The opcodes that would look something up or call it in Python: here they describe tensors, or end the machine.

use super::fault::{Fault, STATE_DICT_ALONE, shown};
use super::globals::{self, Global};
use super::pickle::Machine;
use super::value::{Object, Storage, Value, text};
use super::view::View;

impl Machine<'_> {
    /// What would look something up or call it in Python.
    pub(super) fn construct(&mut self, opcode: u8, start: usize) -> Result<(), Fault> {
        match opcode {
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let value = global(module, name, start)?;
                self.push(value, start)
            }
            0x93 => {
                let (name, module) = (self.pop(start)?, self.pop(start)?);
                let (Some(module), Some(name)) = (text(self.bytes, module), text(self.bytes, name)) else {
                    return Err(Fault::damaged_at(start, "a name is no text"));
                };
                let value = global(module, name, start)?;
                self.push(value, start)
            }
            b'R' | 0x81 => {
                let (arguments, callee) = (self.pop(start)?, self.pop(start)?);
                self.call(callee, arguments, start)
            }
            b'b' => {
                // Attributes of a dictionary (PyTorch keeps versions of modules there), of a tensor, or of something inert.
                self.pop(start)?;
                match self.top(start)? {
                    Value::Inert | Value::Object(_) => Ok(()),
                    _ => Err(Fault::damaged_at(start, "what has no attributes is given some")),
                }
            }
            _ => {
                let reference = self.pop(start)?;
                let storage = self.storage(reference).map_err(|problem| Fault::damaged_at(start, problem))?;
                self.push_object(Object::Storage(storage), start)
            }
        }
    }

    /// What calling a name with a tuple of arguments gives.
    fn call(&mut self, callee: Value, arguments: Value, start: usize) -> Result<(), Fault> {
        let arguments = match arguments {
            Value::Object(number) => self.objects.get(number as usize),
            _ => None,
        };
        let Some(Object::Tuple(arguments)) = arguments else {
            return Err(Fault::damaged_at(start, "a call has no arguments"));
        };
        match callee {
            Value::Global(Global::RebuildTensor) => {
                let view = self.tensor(arguments).map_err(|problem| Fault::damaged_at(start, &problem))?;
                self.push_object(Object::Tensor(Box::new(view)), start)
            }
            Value::Global(Global::RebuildParameter) => {
                let inner = arguments.first().copied().unwrap_or(Value::None);
                self.push(inner, start)
            }
            Value::Global(Global::OrderedDict) => {
                let entries = self.listed_pairs(arguments, start)?;
                // One list may serve for many dictionaries.
                self.made = self.made.saturating_add(entries.len() as u32);
                self.push_object(Object::Dict(entries), start)
            }
            Value::Global(Global::Attribute)
                if !matches!(arguments.first(), Some(Value::Inert | Value::Global(Global::Inert))) =>
            {
                Err(unknown("builtins", "getattr", start))
            }
            Value::Global(Global::Inert | Global::Attribute) | Value::Inert => self.push(Value::Inert, start),
            _ => Err(Fault::refused(
                format!("byte {start} of the pickle: something is called that is no maker of tensors"),
                STATE_DICT_ALONE,
            )),
        }
    }

    /// `OrderedDict([[key, value], …])`, as Python 2 wrote it, or `OrderedDict()`.
    fn listed_pairs(&self, arguments: &[Value], start: usize) -> Result<Vec<(Value, Value)>, Fault> {
        let object = |value: &Value| match value {
            Value::Object(number) => self.objects.get(*number as usize),
            _ => None,
        };
        let Some(list) = arguments.first() else { return Ok(Vec::new()) };
        let Some(Object::List(list)) = object(list) else {
            return Err(Fault::damaged_at(start, "a dictionary is made of what is no list"));
        };
        let pair = |item| match object(item) {
            Some(Object::List(pair)) => <[Value; 2]>::try_from(pair.as_slice()).ok(),
            Some(Object::Tuple(pair)) => <[Value; 2]>::try_from(&pair[..]).ok(),
            _ => None,
        };
        let entry = |item| {
            let [key, value] = pair(item).ok_or_else(|| Fault::damaged_at(start, "an entry is no pair"))?;
            Ok((key, value))
        };
        list.iter().map(entry).collect()
    }

    /// `_rebuild_tensor_v2(storage, offset, size, stride, …)`
    fn tensor(&self, arguments: &[Value]) -> Result<View, String> {
        let object = |value: Value| match value {
            Value::Object(number) => self.objects.get(number as usize).map(|object| (number, object)),
            _ => None,
        };
        let numbers = |value: Value| match object(value) {
            Some((_, Object::Tuple(items))) => items
                .iter()
                .map(|item| if let Value::Int(number) = item { Some(*number) } else { None })
                .collect::<Option<Vec<i64>>>(),
            _ => None,
        };
        let malformed = || "a tensor is described as PyTorch describes none".to_owned();
        let [storage, offset, size, stride, ..] = *arguments else { return Err(malformed()) };
        let (Some((id, Object::Storage(storage))), Value::Int(offset)) = (object(storage), offset) else {
            return Err(malformed());
        };
        let (Some(size), Some(stride)) = (numbers(size), numbers(stride)) else { return Err(malformed()) };
        View::new(id, storage, offset, &size, &stride)
    }

    /// `('storage', type, key, location, elements[, view])`
    fn storage(&self, reference: Value) -> Result<Storage, &'static str> {
        let Value::Object(number) = reference else { return Err("a storage has no description") };
        let Some(Object::Tuple(parts)) = self.objects.get(number as usize) else {
            return Err("a storage has no description");
        };
        let [kind, dtype, key, _, elements, rest @ ..] = &**parts else {
            return Err("a storage is described as PyTorch describes none");
        };
        if !matches!(rest, [] | [Value::None]) {
            return Err("a storage is part of another one, as PyTorch before 0.4 wrote them");
        }
        let (Some("storage"), Some(_)) = (text(self.bytes, *kind), text(self.bytes, *key)) else {
            return Err("a reference is not to a storage");
        };
        match (dtype, elements) {
            (Value::Global(Global::Storage(dtype)), Value::Int(elements)) => {
                let elements = u64::try_from(*elements).map_err(|_| "a storage has a negative length")?;
                Ok(Storage { key: *key, dtype: *dtype, elements })
            }
            _ => Err("a storage has no type or no length"),
        }
    }
}

fn global(module: &str, name: &str, start: usize) -> Result<Value, Fault> {
    globals::find(module, name).map(Value::Global).ok_or_else(|| unknown(module, name, start))
}

fn unknown(module: &str, name: &str, start: usize) -> Fault {
    let problem = format!(
        "byte {start} of the pickle: it asks for {}.{}, which is no data and was not run",
        shown(module),
        shown(name)
    );
    Fault::refused(problem, STATE_DICT_ALONE)
}
