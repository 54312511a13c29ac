//! Decides where the restorer lives while everything is exchanged, and what goes where the helper lies.

use super::ahead::Zones;
use super::environment::{self, Block};
use super::refusal::Refusal;
use super::scaffold::Layout;
use super::{hole, places};
use crate::image::read::Image;
use hotfork_abi::restore::MapOperation;
use std::ffi::OsString;
use std::ops::Range;

pub struct Space {
    pub environment: Block,
    pub hole: u64,
    pub layout: Layout,
    pub zones: Zones,
    /// Where this process has its memory.
    pub near: Vec<Range<u64>>,
}

impl Space {
    pub fn find(
        image: &Image,
        occupied: &[Range<u64>],
        further: &[(OsString, OsString)],
        copy_code: bool,
    ) -> Result<Self, Refusal> {
        let environment = environment::block(std::env::vars_os(), further);
        // Copied code takes three operations in place of one; else the tables move there as they are.
        let copied = (3 * image.operations().len() * size_of::<MapOperation>()) as u64;
        let tables = if copy_code { copied } else { image.tail.pages() };
        // The image, the mapped ones, hsperfdata.
        let files = image.manifest.files.len() + 2;
        let auxv = image.manifest.entry.memory_map.auxv.len();
        let layout = Layout::new(environment.bytes.len(), tables, files, auxv);
        let near = places::near_own_memory(image.tail.bytes());
        let hole = hole::choose(occupied, &near, layout.end)
            .ok_or_else(|| Refusal::unfit_host("no free address range is left beside the JVM's own; take it again"))?;
        let zones = if copy_code { Zones::everything() } else { Zones::around(near.clone(), occupied) };
        Ok(Self { environment, hole, layout, zones, near })
    }
}
