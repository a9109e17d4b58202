//! Reading the manifest is checking it: every range and format of the schema holds afterwards.

use std::collections::BTreeSet;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::contract;
use crate::error::{Code, Rejection, quoted};
use crate::fallback;
use crate::feature::Feature;
use crate::fields::{Field, Object, Place};
use crate::json::{self, Value};
use crate::key::decode_key;
use crate::module::State;
use crate::path::check_path;
use crate::schema::{
    ArtifactEntry, Author, Benchmark, FileEntry, HostCaps, KernelEntry, Manifest, Platform,
    ResourceLimits, SCHEMA, Tolerance, VariantEntry, VectorEntry,
};
use crate::{LARGEST_MANIFEST, MANIFEST_FILE};

mod interface;
mod lists;

pub(crate) use interface::{outputs, params, tensors};
use lists::list;
pub(crate) use lists::names;

pub(crate) const MOST_KERNELS: usize = 256;
pub(crate) const MOST_FILES: usize = 4096;
pub(crate) const MOST_TENSORS: usize = 16;
pub(crate) const MOST_DIMENSIONS: usize = 8;
pub(crate) const MOST_VARIANTS: usize = 8;
pub(crate) const MOST_NAMES: usize = 256;

impl Manifest {
    /// Reads and checks a manifest. Says nothing about who wrote it.
    ///
    /// # Errors
    /// [`Code::ManifestTooLarge`], [`Code::ManifestMalformed`], [`Code::SchemaUnsupported`], [`Code::DuplicateKernel`],
    /// [`Code::PathEscape`], [`Code::PathInvalid`], [`Code::HashMalformed`], else [`Code::ManifestInvalid`].
    pub fn parse(bytes: &[u8], caps: &HostCaps) -> Result<Self, Rejection> {
        if bytes.len() as u64 > LARGEST_MANIFEST {
            let message = format!("{MANIFEST_FILE} is larger than {LARGEST_MANIFEST} bytes");
            return Err(Rejection::new(Code::ManifestTooLarge, message).file(MANIFEST_FILE));
        }
        let value = json::parse(bytes).map_err(|reason| {
            let message = format!("{MANIFEST_FILE} is not strict JSON: {reason}");
            Rejection::new(Code::ManifestMalformed, message).file(MANIFEST_FILE)
        })?;
        Self::from_value(&value, caps)
    }

    pub(crate) fn from_value(value: &Value, caps: &HostCaps) -> Result<Self, Rejection> {
        let mut top = Object::new(value, Place::default())?;
        let schema = top.required("$schema")?;
        if schema.string()? != SCHEMA {
            return Err(schema.place.refused(
                Code::SchemaUnsupported,
                format_args!(
                    "is {}, this release knows {SCHEMA}",
                    quoted(schema.string()?)
                ),
            ));
        }
        let min_runtime_version = top.read("min_runtime_version", |field| field.version());
        let max_runtime_version = top.read("max_runtime_version", |field| {
            let version = field.version()?;
            match &min_runtime_version {
                Some(min) if version.cmp_precedence(min).is_lt() => {
                    Err(field.place.invalid("is below min_runtime_version"))
                }
                _ => Ok(version),
            }
        });
        let kernels = top.read("kernels", |field| kernels(field, caps));
        let name = top.read("name", |field| pack_name(&field));
        let version = top.read("version", |field| field.version());
        let description = top.read_optional("description", |field| field.paragraph());
        let created_at = top.read("created_at", |field| moment(&field));
        let expires_at = top.read_optional("expires_at", |field| moment(&field));
        let author = top.read("author", author);
        // What names kernels is not judged by a list of kernels that is not there.
        let of_kernels = |what: &mut Object<'_>| {
            let known = kernels.as_deref()?;
            let vectors = what.read_optional("vectors", |field| vectors(field, known));
            let artifacts = what.read_optional("artifacts", |field| artifacts(field, known));
            let fallbacks = what.read_optional("fallbacks", |field| fallback::parse(field, known));
            Some((vectors?, artifacts?, fallbacks?))
        };
        let of_kernels = of_kernels(&mut top);
        if kernels.is_none() {
            for name in ["vectors", "artifacts", "fallbacks"] {
                top.optional(name);
            }
        }
        top.end(|| {
            let (vectors, artifacts, fallbacks) = of_kernels?;
            let (fallbacks, warnings) = fallbacks.unwrap_or_default();
            Some(Self {
                name: name?,
                version: version?,
                description: description?,
                created_at: created_at?,
                expires_at: expires_at?,
                min_runtime_version: min_runtime_version?,
                max_runtime_version: max_runtime_version?,
                author: author?,
                kernels: kernels?,
                fallbacks,
                artifacts: artifacts.unwrap_or_default(),
                vectors: vectors.unwrap_or_default(),
                warnings,
            })
        })
    }
}

/// The kernel of the pack that a field names.
fn known(field: &Field<'_>, kernels: &[KernelEntry]) -> Result<String, Rejection> {
    let id = field.string()?;
    if kernels.iter().any(|kernel| kernel.id == id) {
        return Ok(id.to_owned());
    }
    let reason = format_args!("names no kernel of the pack: {}", quoted(id));
    Err(field.place.invalid(reason))
}

fn vectors(field: Field<'_>, kernels: &[KernelEntry]) -> Result<Vec<VectorEntry>, Rejection> {
    list(Some(field), MOST_FILES, |field| {
        let mut object = field.object()?;
        let kernel = known(&object.required("kernel")?, kernels)?;
        object.place = object.place.of_kernel(&kernel);
        let file = file_entry(&mut object)?;
        object.finish()?;
        Ok(VectorEntry { kernel, file })
    })
}

fn artifacts(field: Field<'_>, kernels: &[KernelEntry]) -> Result<Vec<ArtifactEntry>, Rejection> {
    list(Some(field), MOST_FILES, |field| {
        let mut object = field.object()?;
        let kernel = known(&object.required("kernel")?, kernels)?;
        object.place = object.place.of_kernel(&kernel);
        let entry = ArtifactEntry {
            engine: engine(&object.required("engine")?)?,
            engine_version: object.required("engine_version")?.version()?,
            target: object
                .required("target")?
                .identifier("letters, digits, `.`, `_`, `-`", |b| {
                    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')
                })?,
            file: file_entry(&mut object)?,
            kernel,
        };
        object.finish()?;
        Ok(entry)
    })
}

fn author(field: Field<'_>) -> Result<Author, Rejection> {
    let mut object = field.object()?;
    let email = object.read("email", |field| {
        let address = field.text()?;
        if address.split('@').count() != 2 || address.contains(char::is_whitespace) {
            return Err(field.place.invalid("is not a mail address"));
        }
        Ok(address)
    });
    let signing_key = object.read("signing_key", |field| {
        decode_key(field.string()?)
            .ok_or_else(|| field.place.invalid("must be ed25519:<base64 of 32 bytes>"))
    });
    let name = object.read("name", |field| field.text());
    object.end(|| {
        Some(Author {
            name: name?,
            email: email?,
            signing_key: signing_key?,
        })
    })
}

fn kernels(field: Field<'_>, caps: &HostCaps) -> Result<Vec<KernelEntry>, Rejection> {
    let place = field.place.clone();
    let mut ids = BTreeSet::new();
    let kernels = list(Some(field), MOST_KERNELS, |entry| {
        let place = entry.place.clone();
        let kernel = kernel(entry, caps)?;
        if !ids.insert(kernel.id.clone()) {
            return Err(place.of_kernel(&kernel.id).refused(
                Code::DuplicateKernel,
                format_args!("has the id of an earlier kernel: {}", kernel.id),
            ));
        }
        Ok(kernel)
    })?;
    if kernels.is_empty() {
        return Err(place.invalid("must hold 1 to 256 kernels"));
    }
    Ok(kernels)
}

fn kernel(field: Field<'_>, caps: &HostCaps) -> Result<KernelEntry, Rejection> {
    let mut object = field.object()?;
    let id = object.required("id")?.identifier("a-z, 0-9, `_`", |b| {
        b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'
    })?;
    object.place = object.place.of_kernel(&id);
    let name = object.read("name", |field| field.text());
    let category = object.read("category", |field| {
        field.identifier("a-z, 0-9, `_`, `-`", |b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-')
        })
    });
    let file = file_entry(&mut object);
    let file = object.keep(file);
    let entry_point = object.read("entry_point", |field| {
        field.identifier("letters, digits, `.`, `_`, `$`, `-`", |b| {
            b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$' | b'-')
        })
    });
    let inputs = object.read("inputs", tensors);
    let outputs = object.read("outputs", outputs);
    let params = object.read_optional("params", params);
    let limits = object.read("resource_limits", |field| limits(field, caps));
    let platforms = object.read("platforms", |field| names(Some(field), platform));
    let benchmarks = object.read_optional("benchmarks", |field| names(Some(field), benchmark));
    let tolerance = object.read_optional("tolerance", tolerance);
    let variants = object.read_optional("variants", |field| {
        list(Some(field), MOST_VARIANTS, variant)
    });
    let contract = object.read_optional("contract", contract::entry);
    let state = object.read_optional("state", |field| {
        list(Some(field), State::ALL.len(), |field| state(&field))
    });
    object.end(|| {
        Some(KernelEntry {
            id,
            name: name?,
            category: category?,
            file: file?,
            entry_point: entry_point?,
            inputs: inputs?,
            outputs: outputs?,
            params: params?.unwrap_or_default(),
            limits: limits?,
            platforms: platforms?,
            benchmarks: benchmarks?.unwrap_or_default(),
            tolerance: tolerance?,
            variants: variants?.unwrap_or_default(),
            contract: contract?,
            state: state?.unwrap_or_default().into_iter().collect(),
        })
    })
}

fn state(field: &Field<'_>) -> Result<State, Rejection> {
    State::parse(field.string()?).ok_or_else(|| {
        let names = State::ALL.map(State::as_str).join(" ");
        field.place.invalid(format_args!("must be one of {names}"))
    })
}

/// `path` and `hash` of an entry.
pub(crate) fn file_entry(object: &mut Object<'_>) -> Result<FileEntry, Rejection> {
    let path = object.required("path")?;
    check_path(path.string()?).map_err(|rejection| path.place.tag(rejection))?;
    let hash = object.required("hash")?;
    let sha256 = parse_hash(hash.string()?).ok_or_else(|| {
        hash.place.refused(
            Code::HashMalformed,
            format_args!(
                "must be sha256: and 64 lower-case hex digits, not {}",
                quoted(hash.string().unwrap_or_default())
            ),
        )
    })?;
    Ok(FileEntry {
        path: path.string()?.to_owned(),
        sha256,
    })
}

fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("sha256:")?.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn limits(field: Field<'_>, caps: &HostCaps) -> Result<ResourceLimits, Rejection> {
    let mut object = field.object()?;
    let most_pages = caps.max_memory_pages.min(65_536);
    let pages = object.read("max_memory_pages", |field| field.integer32(1, most_pages));
    let ticks = object.read("max_epoch_ticks", |field| {
        field.integer(1, caps.max_epoch_ticks)
    });
    let elements = object.read("max_table_elements", |field| {
        field.integer32(0, caps.max_table_elements)
    });
    let fuel = object.read_optional("max_fuel", |field| field.integer(1, u64::MAX));
    object.end(|| {
        Some(ResourceLimits {
            max_memory_pages: pages?,
            max_epoch_ticks: ticks?,
            max_table_elements: elements?,
            max_fuel: fuel?,
        })
    })
}

fn platform(field: Field<'_>) -> Result<Platform, Rejection> {
    let mut object = field.object()?;
    let platform = Platform {
        min_version: object.required("min_version")?.version()?,
        features: features(object.optional("features"))?,
        aot_available: object
            .optional("aot_available")
            .map(|field| field.boolean())
            .transpose()?,
    };
    object.finish()?;
    Ok(platform)
}

fn features(field: Option<Field<'_>>) -> Result<BTreeSet<Feature>, Rejection> {
    let features = list(field, MOST_NAMES, |field| {
        Feature::parse(field.string()?).ok_or_else(|| {
            field.place.invalid(format_args!(
                "is not a feature a pack may use: {}",
                quoted(field.string().unwrap_or_default())
            ))
        })
    })?;
    Ok(features.into_iter().collect())
}

fn benchmark(field: Field<'_>) -> Result<Benchmark, Rejection> {
    let mut object = field.object()?;
    let benchmark = Benchmark {
        latency_us: object.required("latency_us")?.non_negative()?,
        throughput_gflops: object.required("throughput_gflops")?.non_negative()?,
    };
    object.finish()?;
    Ok(benchmark)
}

fn tolerance(field: Field<'_>) -> Result<Tolerance, Rejection> {
    let mut object = field.object()?;
    let mut bound = |name: &str| {
        object
            .optional(name)
            .map(|field| field.non_negative())
            .transpose()
    };
    let tolerance = Tolerance {
        abs: bound("abs")?,
        rel: bound("rel")?,
        ulp: bound("ulp")?,
    };
    object.finish()?;
    Ok(tolerance)
}

fn variant(field: Field<'_>) -> Result<VariantEntry, Rejection> {
    let mut object = field.object()?;
    let needed = object.required("features")?;
    let place = needed.place.clone();
    let features = features(Some(needed))?;
    if features.is_empty() {
        return Err(place.invalid("is empty; a variant needs more features than the base module"));
    }
    let variant = VariantEntry {
        features,
        file: file_entry(&mut object)?,
    };
    object.finish()?;
    Ok(variant)
}

fn pack_name(field: &Field<'_>) -> Result<String, Rejection> {
    let name = field.identifier("letters, digits, `.`, `_`, `-`", |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')
    })?;
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(field.place.invalid("must start with a letter or a digit"));
    }
    Ok(name)
}

fn engine(field: &Field<'_>) -> Result<String, Rejection> {
    field.identifier("a-z, 0-9, `.`, `_`, `-`", |b| {
        b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-')
    })
}

fn moment(field: &Field<'_>) -> Result<OffsetDateTime, Rejection> {
    let text = field.string()?;
    OffsetDateTime::parse(text, &Rfc3339).map_err(|error| {
        field.place.invalid(format_args!(
            "is not an RFC 3339 time: {} ({error})",
            quoted(text)
        ))
    })
}
