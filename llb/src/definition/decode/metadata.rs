//! What travels beside an op, from its wire form.

use std::sync::Arc;

use super::fields::{Malformed, Part};
use crate::metadata::{LinuxResources, OpMetadata, ProgressGroup};
use crate::value::{Capability, CapabilitySet};

/// Reads `pb.OpMetadata`.
pub(super) fn read(message: Part<'_>) -> Result<OpMetadata, Malformed> {
    let mut metadata = OpMetadata::default();
    let mut fields = message.fields();
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => metadata.ignore_cache = value.integer(number, message)? != 0,
            2 => {
                let (key, value) = string_entry(value.part(number, message)?)?;
                metadata
                    .description
                    .insert(key.to_owned(), value.to_owned());
            }
            4 => {
                let value = export_cache(value.part(number, message)?)?;
                metadata.export_cache = value.or(metadata.export_cache).or(Some(false));
            }
            5 => {
                let (name, needed) = capability_entry(value.part(number, message)?)?;
                let known =
                    Capability::from_name(name).map(|known| CapabilitySet::new().with(known));
                let known = known.unwrap_or_default();
                if needed && !known.is_empty() {
                    metadata.caps = metadata.caps.union(known);
                    metadata.other_caps.remove(name);
                } else {
                    metadata.caps = metadata.caps.difference(known);
                    metadata.other_caps.insert(name.to_owned(), needed);
                }
            }
            6 => {
                let group = metadata.progress_group.get_or_insert_default();
                progress_group(Arc::make_mut(group), value.part(number, message)?)?;
            }
            7 => {
                let resources = metadata.linux_resources.get_or_insert_default();
                linux_resources(resources, value.part(number, message)?)?;
            }
            _ => {}
        }
    }
    Ok(metadata)
}

fn string_entry(entry: Part<'_>) -> Result<(&str, &str), Malformed> {
    let (mut key, mut text) = ("", "");
    let mut fields = entry.fields();
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => key = value.text(number, entry)?,
            2 => text = value.text(number, entry)?,
            _ => {}
        }
    }
    Ok((key, text))
}

fn capability_entry(entry: Part<'_>) -> Result<(&str, bool), Malformed> {
    let (mut name, mut needed) = ("", false);
    let mut fields = entry.fields();
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => name = value.text(number, entry)?,
            2 => needed = value.integer(number, entry)? != 0,
            _ => {}
        }
    }
    Ok((name, needed))
}

fn export_cache(message: Part<'_>) -> Result<Option<bool>, Malformed> {
    let mut export = None;
    let mut fields = message.fields();
    while let Some((number, value)) = fields.next()? {
        if number == 1 {
            export = Some(value.integer(number, message)? != 0);
        }
    }
    Ok(export)
}

fn progress_group(group: &mut ProgressGroup, message: Part<'_>) -> Result<(), Malformed> {
    let mut fields = message.fields();
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => value.text(number, message)?.clone_into(&mut group.id),
            2 => value.text(number, message)?.clone_into(&mut group.name),
            3 => group.weak = value.integer(number, message)? != 0,
            _ => {}
        }
    }
    Ok(())
}

fn linux_resources(resources: &mut LinuxResources, message: Part<'_>) -> Result<(), Malformed> {
    let mut fields = message.fields();
    while let Some((number, value)) = fields.next()? {
        let integer = || value.integer(number, message);
        match number {
            1 => resources.memory = integer()?.cast_signed(),
            2 => resources.memory_swap = integer()?.cast_signed(),
            3 => resources.cpu_shares = integer()?,
            4 => resources.cpu_period = integer()?,
            5 => resources.cpu_quota = integer()?.cast_signed(),
            6 => value
                .text(number, message)?
                .clone_into(&mut resources.cpuset_cpus),
            7 => value
                .text(number, message)?
                .clone_into(&mut resources.cpuset_mems),
            _ => {}
        }
    }
    Ok(())
}
