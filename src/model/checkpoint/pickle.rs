//! A pickle machine that can only make data.
//!
//! It knows the opcodes of protocols 0 to 5 that PyTorch writes and the names of [`super::globals`]; anything else ends
//! it. It calls nothing and looks nothing up. What it may make is limited by number, and lengths in the file are compared
//! with the file before they are used, so a hostile file costs no more than its size and what a million values take, which
//! is about a hundred megabytes.

use std::collections::HashMap;
use std::str;

use super::fault::{Fault, STATE_DICT_ALONE};
use super::value::{Object, Pickle, Value, text};

/// Values that a pickle may put on the stack or into the memo: the training checkpoint of a large model has a tenth.
const MAX_VALUES: u32 = 1 << 20;
/// No name of a weight is longer, so a longer text is of no interest.
const MAX_TEXT: usize = 4096;
/// The number that starts a file of before PyTorch 1.6, little endian.
pub(super) const LEGACY_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The same as protocols 0 and 1 write it.
pub(super) const LEGACY_MAGIC_TEXT: &[u8] = b"L119547037146038801333356L\n";

/// Reads the pickle that `bytes` start with.
///
/// # Errors
/// [`Fault::Ended`] if it goes on behind `bytes`, and [`Fault::Refused`] for anything that is no data.
pub(super) fn read(bytes: &[u8]) -> Result<Pickle<'_>, Fault> {
    let machine = Machine {
        bytes,
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        objects: Vec::new(),
        made: 0,
    };
    machine.run()
}

pub(super) struct Machine<'a> {
    pub(super) bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u64, Value>,
    pub(super) objects: Vec<Object>,
    /// Values that were put on the stack, into the memo or into a dictionary from a list.
    pub(super) made: u32,
}

impl<'a> Machine<'a> {
    fn run(mut self) -> Result<Pickle<'a>, Fault> {
        loop {
            let start = self.at;
            let [opcode] = self.array()?;
            if opcode == b'.' {
                let root = self.pop(start)?;
                return Ok(Pickle { bytes: self.bytes, objects: self.objects, root, end: self.at });
            }
            self.step(opcode, start)?;
        }
    }

    /// One opcode; `start` is its place.
    fn step(&mut self, opcode: u8, start: usize) -> Result<(), Fault> {
        match opcode {
            0x80 => match self.array()? {
                [0..=5] => Ok(()),
                [version] => Err(Fault::damaged_at(start, &format!("protocol {version} is unknown"))),
            },
            // A frame only announces how much may be read at once.
            0x95 => self.array::<8>().map(drop),
            b'(' => {
                self.count(start)?;
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => match self.marks.last() {
                Some(&mark) if mark == self.stack.len() => self.pop_to_mark(start).map(drop),
                _ => self.pop(start).map(drop),
            },
            b'1' => self.pop_to_mark(start).map(drop),
            b'2' => {
                let value = self.top(start)?;
                self.push(value, start)
            }
            b'N' | 0x88 | 0x89 | b'I' | b'J' | b'K' | b'M' | b'L' | 0x8a | 0x8b | b'F' | b'G' => {
                let value = self.number(opcode, start)?;
                self.push(value, start)
            }
            b'S' | b'V' | b'T' | b'U' | b'X' | 0x8c | 0x8d | b'B' | b'C' | 0x8e | 0x96 => {
                let value = self.string(opcode, start)?;
                self.push(value, start)
            }
            b')' | b't' | 0x85..=0x87 | b']' | b'l' | b'}' | b'd' | 0x8f | 0x91 => self.container(opcode, start),
            b'a' | b'e' | b's' | b'u' | 0x90 => self.fill(opcode, start),
            b'g' | b'h' | b'j' | b'p' | b'q' | b'r' | 0x94 => self.memory(opcode, start),
            b'c' | 0x93 | b'R' | b'b' | 0x81 | b'Q' => self.construct(opcode, start),
            _ => Err(Fault::refused(
                format!("byte {start} of the pickle: opcode {opcode:#04x} is none that PyTorch writes"),
                STATE_DICT_ALONE,
            )),
        }
    }

    fn number(&mut self, opcode: u8, start: usize) -> Result<Value, Fault> {
        let malformed = || Fault::damaged_at(start, "a number is malformed");
        Ok(match opcode {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'J' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            b'K' => Value::Int(self.array::<1>()?[0].into()),
            b'M' => Value::Int(u16::from_le_bytes(self.array()?).into()),
            b'G' => Value::Float(f64::from_be_bytes(self.array()?)),
            b'F' => Value::Float(self.line()?.parse().map_err(|_| malformed())?),
            b'I' => match self.line()? {
                "01" => Value::Bool(true),
                "00" => Value::Bool(false),
                digits => Value::Int(digits.parse().map_err(|_| malformed())?),
            },
            b'L' => {
                let line = self.line()?;
                let digits = line.strip_suffix('L').unwrap_or(line);
                match digits.parse() {
                    Ok(number) => Value::Int(number),
                    Err(_) if LEGACY_MAGIC_TEXT[1..].starts_with(line.as_bytes()) && line.len() > 20 => {
                        Value::LegacyMagic
                    }
                    Err(_) if digits.strip_prefix('-').unwrap_or(digits).bytes().all(|b| b.is_ascii_digit()) => {
                        Value::Inert
                    }
                    Err(_) => return Err(malformed()),
                }
            }
            _ => {
                let length = if opcode == 0x8a {
                    self.array::<1>()?[0].into()
                } else {
                    usize::try_from(i32::from_le_bytes(self.array()?)).map_err(|_| malformed())?
                };
                long(self.take(length)?)
            }
        })
    }

    fn string(&mut self, opcode: u8, start: usize) -> Result<Value, Fault> {
        if let b'S' | b'V' = opcode {
            let from = self.at;
            let line = self.line()?;
            let length = line.len();
            if line.contains('\\') {
                return Err(Fault::damaged_at(start, "a text with escapes is none that PyTorch writes"));
            }
            let quotes = usize::from(opcode == b'S');
            if length < 2 * quotes {
                return Err(Fault::damaged_at(start, "a text has no quotes"));
            }
            return self.text_at(from + quotes, length - 2 * quotes, start);
        }
        let length = match opcode {
            b'U' | 0x8c | b'C' => self.array::<1>()?[0].into(),
            b'T' | b'X' | b'B' => u32::from_le_bytes(self.array()?).into(),
            _ => u64::from_le_bytes(self.array()?),
        };
        let from = self.at;
        let length = usize::try_from(length).map_err(|_| Fault::Ended { at: self.bytes.len() })?;
        self.take(length)?;
        match opcode {
            b'X' | 0x8c | 0x8d | b'T' | b'U' => self.text_at(from, length, start),
            // Bytes take no part in a model.
            _ => Ok(Value::Inert),
        }
    }

    fn text_at(&self, from: usize, length: usize, start: usize) -> Result<Value, Fault> {
        if length > MAX_TEXT {
            return Ok(Value::Inert);
        }
        let (Ok(from), Ok(length)) = (u32::try_from(from), u32::try_from(length)) else {
            return Err(Fault::damaged_at(start, "a text lies too far behind"));
        };
        let value = Value::Text { start: from, length };
        text(self.bytes, value).map(|_| value).ok_or_else(|| Fault::damaged_at(start, "a text is not UTF-8"))
    }

    fn container(&mut self, opcode: u8, start: usize) -> Result<(), Fault> {
        let object = match opcode {
            b')' => Object::Tuple(Box::default()),
            b't' => Object::Tuple(self.pop_to_mark(start)?.into()),
            0x85..=0x87 => {
                let length = usize::from(opcode - 0x84);
                let floor = self.floor();
                let from = self.stack.len().checked_sub(length).filter(|&from| from >= floor);
                let from = from.ok_or_else(|| empty(start))?;
                Object::Tuple(self.stack.split_off(from).into())
            }
            b']' | 0x8f => Object::List(Vec::new()),
            b'l' | 0x91 => Object::List(self.pop_to_mark(start)?),
            b'}' => Object::Dict(Vec::new()),
            _ => Object::Dict(pairs(&self.pop_to_mark(start)?, start)?),
        };
        self.push_object(object, start)
    }

    /// What puts values into a list or a dictionary.
    fn fill(&mut self, opcode: u8, start: usize) -> Result<(), Fault> {
        let items = match opcode {
            b'a' => vec![self.pop(start)?],
            b's' => {
                let value = self.pop(start)?;
                vec![self.pop(start)?, value]
            }
            _ => self.pop_to_mark(start)?,
        };
        let target = self.top(start)?;
        let object = match target {
            Value::Object(number) => self.objects.get_mut(number as usize),
            Value::Inert => return Ok(()),
            _ => None,
        };
        match (object, opcode) {
            (Some(Object::List(list)), b'a' | b'e' | 0x90) => list.extend(items),
            (Some(Object::Dict(entries)), b's' | b'u') => entries.extend(pairs(&items, start)?),
            _ => return Err(Fault::damaged_at(start, "items are put into what is no list or dictionary")),
        }
        Ok(())
    }

    fn memory(&mut self, opcode: u8, start: usize) -> Result<(), Fault> {
        let number = match opcode {
            b'g' | b'p' => {
                self.line()?.parse().map_err(|_| Fault::damaged_at(start, "a place of the memo is malformed"))?
            }
            b'h' | b'q' => self.array::<1>()?[0].into(),
            0x94 => self.memo.len() as u64,
            _ => u32::from_le_bytes(self.array()?).into(),
        };
        if let b'g' | b'h' | b'j' = opcode {
            let missing = || Fault::damaged_at(start, &format!("place {number} of the memo is empty"));
            let value = *self.memo.get(&number).ok_or_else(missing)?;
            return self.push(value, start);
        }
        self.count(start)?;
        let value = self.top(start)?;
        self.memo.insert(number, value);
        Ok(())
    }

    fn count(&mut self, start: usize) -> Result<(), Fault> {
        self.made = self.made.saturating_add(1);
        if self.made > MAX_VALUES {
            return Err(Fault::refused(
                format!("byte {start} of the pickle: it holds more than {MAX_VALUES} values"),
                STATE_DICT_ALONE,
            ));
        }
        Ok(())
    }

    pub(super) fn push(&mut self, value: Value, start: usize) -> Result<(), Fault> {
        self.count(start)?;
        self.stack.push(value);
        Ok(())
    }

    pub(super) fn push_object(&mut self, object: Object, start: usize) -> Result<(), Fault> {
        // Numbers of objects are below the number of values.
        let number = self.objects.len() as u32;
        self.objects.push(object);
        self.push(Value::Object(number), start)
    }

    /// The height below which a mark protects the stack.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    pub(super) fn pop(&mut self, start: usize) -> Result<Value, Fault> {
        let value = self.top(start)?;
        self.stack.pop();
        Ok(value)
    }

    pub(super) fn top(&self, start: usize) -> Result<Value, Fault> {
        self.stack[self.floor()..].last().copied().ok_or_else(|| empty(start))
    }

    /// Takes the last mark and what lies above it.
    fn pop_to_mark(&mut self, start: usize) -> Result<Vec<Value>, Fault> {
        let mark = self.marks.pop().ok_or_else(|| Fault::damaged_at(start, "there is no mark"))?;
        Ok(self.stack.split_off(mark))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let end = self.at.checked_add(length);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or(Fault::Ended { at: self.bytes.len() })?;
        self.at += length;
        Ok(taken)
    }

    fn array<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], Fault> {
        let at = self.bytes.len();
        <[u8; SIZE]>::try_from(self.take(SIZE)?).map_err(|_| Fault::Ended { at })
    }

    /// Up to the end of the line, which is taken, too.
    pub(super) fn line(&mut self) -> Result<&'a str, Fault> {
        let start = self.at;
        let rest = &self.bytes[start..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or(Fault::Ended { at: self.bytes.len() })?;
        self.at += length + 1;
        str::from_utf8(&rest[..length]).map_err(|_| Fault::damaged_at(start, "a line is not UTF-8"))
    }
}

/// An integer of any length, little endian.
fn long(bytes: &[u8]) -> Value {
    if bytes == LEGACY_MAGIC {
        return Value::LegacyMagic;
    }
    let Some(last) = bytes.last() else { return Value::Int(0) };
    if bytes.len() > 8 {
        return Value::Inert;
    }
    let mut filled = [if *last < 0x80 { 0 } else { 0xff }; 8];
    filled[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(filled))
}

fn pairs(items: &[Value], start: usize) -> Result<Vec<(Value, Value)>, Fault> {
    match items.as_chunks::<2>() {
        (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
        _ => Err(Fault::damaged_at(start, "a key has no value")),
    }
}

fn empty(start: usize) -> Fault {
    Fault::damaged_at(start, "the stack is empty")
}
