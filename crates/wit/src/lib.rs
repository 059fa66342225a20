//! What a component offers, as data, and JSON in both directions.
//!
//! [`World::read`] turns the bytes of a component into the functions it exports; [`tools`] turns those into
//! the contract an MCP client sees; [`schema`], [`decode`] and [`encode`] are three matches over one closed
//! enum, [`Type`], and agree with each other: the schema accepts what `encode` prints, and `decode` reads it
//! back as the same value.
//!
//! INVARIANT: everything in this crate is pure, and no byte of a component can make it panic or use memory or
//! time out of proportion: sizes are counted before anything is built, and what is past a bound is refused
//! with the reason. It knows neither the engine that runs components nor that tools are called.

mod convert;
mod decode;
mod docs;
mod encode;
mod name;
mod read;
pub mod rich;
mod schema;
mod text;
mod tool;
mod ty;
mod value;
mod world;

pub use decode::{DecodeError, decode};
pub use docs::{Docs, ParseDocsError};
pub use encode::encode;
pub use name::{ParseToolNameError, ToolName};
pub use read::ReadWorldError;
pub use schema::schema;
pub use text::sanitize;
pub use tool::{RichTool, Tool, ToolsError, tools};
pub use ty::{Case, Enum, Field, Flags, Label, Record, ResultType, Type, Variant};
pub use value::Value;
pub use world::{Function, FunctionPath, Import, Omitted, Param, ParseFunctionPathError, World};
