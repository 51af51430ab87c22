//! The browser's way into `pointtpa`: one class, [`Engine`], that lives in a worker and answers the page's calls.
//!
//! `page/src/protocol.ts` is the contract: the names of calls, what they ask, what they answer. Plain values cross as
//! JavaScript objects made of JSON, columns of points as typed arrays.

mod answer;
mod ask;
mod browser;
mod engine;
mod failure;
mod messages;

use js_sys::Function;
use pointtpa::{Error, Progress};
use wasm_bindgen::prelude::*;

use engine::State;
use failure::Failure;

/// A device, a model, a scan and its labels.
#[wasm_bindgen]
#[derive(Default)]
pub struct Engine {
    state: State,
}

#[wasm_bindgen]
impl Engine {
    /// One without a device; `start` is its first call.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        messages::set_up();
        Self::default()
    }

    /// Answers a call of the protocol. `progress` is called with `(stage, done, loss)`.
    ///
    /// # Errors
    /// `{kind, message}`, as the protocol's `Failure`.
    pub async fn handle(&mut self, call: String, ask: JsValue, progress: Function) -> Result<JsValue, JsValue> {
        let report = |stage: &str, done: f64, loss: Option<f64>| {
            let loss = loss.map_or(JsValue::NULL, JsValue::from);
            // What the page does with it is the page's affair.
            let _ = progress.call3(&JsValue::NULL, &stage.into(), &done.into(), &loss);
        };
        let step = |progress: Progress<'_>| report(progress.stage, progress.done, None);
        let answer = match call.as_str() {
            "start" => self.state.start(&ask::text(&ask, "device")?, ask::number(&ask, "memory")?).await,
            "model" => self.state.model(&ask::text(&ask, "name")?, ask::bytes(&ask, "bytes")?),
            "open" => self.state.open(&ask::text(&ask, "name")?, ask::bytes(&ask, "bytes")?),
            "estimate" => self.state.estimate(ask::number(&ask, "gridSize")?),
            "segment" => {
                self.state.segment(ask::number(&ask, "gridSize")?, ask::flag(&ask, "smaller")?, &step).await
            }
            "features" => self.state.features(),
            "similar" => self.state.similar(ask::index(&ask, "point")?),
            "point" => self.state.point(ask::index(&ask, "point")?),
            "export" => self.state.export(&ask::text(&ask, "format")?, ask::flag(&ask, "recolor")?),
            "teach" => self.state.teach(ask::painted(&ask)?, &report).await,
            "undo" => self.state.undo(),
            "adapter" => self.state.adapter(),
            "shaders" => self.state.shaders().await,
            "applyAdapter" => self.state.apply_adapter(&ask::text(&ask, "name")?, ask::bytes(&ask, "bytes")?),
            _ => Err(Failure::from(Error::Argument {
                what: "call".into(),
                problem: format!("there is no `{call}`"),
                advice: "Use a page and a module of the same version".into(),
            })),
        };
        Ok(answer?)
    }
}
