//! Decides where the restorer lives while everything is exchanged, and where the host's vdso goes.

use super::ahead::Zones;
use super::environment::{self, Block};
use super::hole;
use super::refusal::Refusal;
use super::scaffold::Layout;
use super::vdso::HostVdso;
use crate::host::maps;
use crate::image::read::Image;
use hotfork_abi::restore::{HostMapping, MapOperation, Patch};
use std::ffi::OsString;
use std::ops::Range;

pub struct Space {
    pub environment: Block,
    pub hole: u64,
    pub layout: Layout,
    pub host_moves: Vec<HostMapping>,
    pub patches: Vec<Patch>,
    pub zones: Zones,
}

impl Space {
    pub fn find(
        image: &Image,
        occupied: &[Range<u64>],
        further: &[(OsString, OsString)],
        copy_code: bool,
    ) -> Result<Self, Refusal> {
        let maps = maps::own()
            .map_err(|error| Refusal::resource(format!("/proc/self/maps cannot be read: {error}; mount /proc")))?;
        let host = HostVdso::find(&maps)?;
        let environment = environment::block(std::env::vars_os(), further);
        let entry = &image.manifest.entry;
        // Copied code takes three operations in place of one; else the tables move there as they are.
        let copied = (3 * image.operations().len() * size_of::<MapOperation>()) as u64;
        let tables = if copy_code { copied } else { image.tail.pages() };
        // The image, the mapped ones, hsperfdata.
        let files = image.manifest.files.len() + 2;
        let auxv = entry.memory_map.auxv.len();
        let stays = !occupied.iter().any(|range| range.start < host.start() + host.span() && host.start() < range.end);
        if host.sealed && !stays {
            return Err(Refusal::unfit_host(
                "this kernel forbids moving its vdso, which lies where the JVM has memory; try again, it lies elsewhere each time",
            ));
        }
        let room_for_host = if stays { 0 } else { host.span() };
        let layout = Layout::new(environment.bytes.len(), room_for_host, tables, files, auxv);
        let hole = hole::choose(occupied, &maps, layout.end)
            .ok_or_else(|| Refusal::unfit_host("no free address range is left beside the JVM's own; take it again"))?;
        let place = if stays { host.start() } else { hole + layout.host };
        let patches = host.patches(&entry.vdso, place)?;
        let mapped = |patch: &Patch| {
            occupied.iter().any(|range| range.start <= patch.address && patch.address + patch.length <= range.end)
        };
        if !patches.iter().all(mapped) {
            return Err(Refusal::damaged("is damaged: its vdso is not mapped; take it again"));
        }
        let zones = if copy_code { Zones::everything() } else { Zones::around(&maps, occupied) };
        Ok(Self { environment, hole, layout, host_moves: host.moves(place), patches, zones })
    }
}
