//! Reading the manifest is checking it: every range and format of the schema holds afterwards.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::contract;
use crate::error::{Code, Rejection, quoted};
use crate::fallback;
use crate::feature::Feature;
use crate::fields::{Field, Object, Place, check_identifier};
use crate::json::{self, Value};
use crate::key::decode_key;
use crate::module::State;
use crate::path::check_path;
use crate::schema::{
    ArtifactEntry, Author, Benchmark, Dimension, Dtype, FileEntry, HostCaps, KernelEntry, Manifest,
    Param, Platform, ResourceLimits, SCHEMA, Tensor, Tolerance, VariantEntry, VectorEntry,
};
use crate::{LARGEST_MANIFEST, MANIFEST_FILE};

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
        let min_runtime_version = top.required("min_runtime_version")?.version()?;
        let max_runtime_version = top.required("max_runtime_version")?;
        let max_place = max_runtime_version.place.clone();
        let max_runtime_version = max_runtime_version.version()?;
        if max_runtime_version
            .cmp_precedence(&min_runtime_version)
            .is_lt()
        {
            return Err(max_place.invalid("is below min_runtime_version"));
        }
        let kernels = kernels(top.required("kernels")?, caps)?;
        let known = |field: &Field<'_>| -> Result<String, Rejection> {
            let id = field.string()?;
            if kernels.iter().any(|kernel| kernel.id == id) {
                Ok(id.to_owned())
            } else {
                Err(field
                    .place
                    .invalid(format_args!("names no kernel of the pack: {}", quoted(id))))
            }
        };
        let vectors = list(top.optional("vectors"), MOST_FILES, |field| {
            let mut object = field.object()?;
            let kernel = known(&object.required("kernel")?)?;
            object.place = object.place.of_kernel(&kernel);
            let file = file_entry(&mut object)?;
            object.finish()?;
            Ok(VectorEntry { kernel, file })
        })?;
        let artifacts = list(top.optional("artifacts"), MOST_FILES, |field| {
            let mut object = field.object()?;
            let kernel = known(&object.required("kernel")?)?;
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
        })?;
        let (fallbacks, warnings) = match top.optional("fallbacks") {
            Some(field) => fallback::parse(field, &kernels)?,
            None => Default::default(),
        };
        let manifest = Self {
            name: pack_name(&top.required("name")?)?,
            version: top.required("version")?.version()?,
            description: top
                .optional("description")
                .map(|f| f.paragraph())
                .transpose()?,
            created_at: moment(&top.required("created_at")?)?,
            expires_at: top.optional("expires_at").map(|f| moment(&f)).transpose()?,
            min_runtime_version,
            max_runtime_version,
            author: author(top.required("author")?)?,
            kernels,
            fallbacks,
            artifacts,
            vectors,
            warnings,
        };
        top.finish()?;
        Ok(manifest)
    }
}

fn author(field: Field<'_>) -> Result<Author, Rejection> {
    let mut object = field.object()?;
    let email = object.required("email")?;
    let address = email.text()?;
    if address.split('@').count() != 2 || address.contains(char::is_whitespace) {
        return Err(email.place.invalid("is not a mail address"));
    }
    let key = object.required("signing_key")?;
    let signing_key = decode_key(key.string()?)
        .ok_or_else(|| key.place.invalid("must be ed25519:<base64 of 32 bytes>"))?;
    let author = Author {
        name: object.required("name")?.text()?,
        email: address,
        signing_key,
    };
    object.finish()?;
    Ok(author)
}

fn kernels(field: Field<'_>, caps: &HostCaps) -> Result<Vec<KernelEntry>, Rejection> {
    let place = field.place.clone();
    let mut kernels: Vec<KernelEntry> = Vec::new();
    let mut ids = BTreeSet::new();
    for entry in field.array(MOST_KERNELS)? {
        let place = entry.place.clone();
        let kernel = kernel(entry, caps)?;
        if !ids.insert(kernel.id.clone()) {
            return Err(place.of_kernel(&kernel.id).refused(
                Code::DuplicateKernel,
                format_args!("has the id of an earlier kernel: {}", kernel.id),
            ));
        }
        kernels.push(kernel);
    }
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
    let kernel = KernelEntry {
        name: object.required("name")?.text()?,
        category: object
            .required("category")?
            .identifier("a-z, 0-9, `_`, `-`", |b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-')
            })?,
        file: file_entry(&mut object)?,
        entry_point: object
            .required("entry_point")?
            .identifier("letters, digits, `.`, `_`, `$`, `-`", |b| {
                b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$' | b'-')
            })?,
        inputs: tensors(object.required("inputs")?)?,
        outputs: outputs(object.required("outputs")?)?,
        params: match object.optional("params") {
            Some(field) => params(field)?,
            None => Vec::new(),
        },
        limits: limits(object.required("resource_limits")?, caps)?,
        platforms: {
            let field = object.required("platforms")?;
            names(Some(field), platform)?
        },
        benchmarks: names(object.optional("benchmarks"), benchmark)?,
        tolerance: object.optional("tolerance").map(tolerance).transpose()?,
        variants: list(object.optional("variants"), MOST_VARIANTS, variant)?,
        contract: object
            .optional("contract")
            .map(contract::entry)
            .transpose()?,
        state: list(object.optional("state"), State::ALL.len(), |field| {
            state(&field)
        })?
        .into_iter()
        .collect(),
        id,
    };
    object.finish()?;
    Ok(kernel)
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

pub(crate) fn tensors(field: Field<'_>) -> Result<Vec<Tensor>, Rejection> {
    let mut tensors: Vec<Tensor> = Vec::new();
    for entry in field.array(MOST_TENSORS)? {
        let mut object = entry.object()?;
        let name = object.required("name")?;
        let place = name.place.clone();
        let name = name.identifier("letters, digits, `_`", |b| {
            b.is_ascii_alphanumeric() || b == b'_'
        })?;
        if tensors.iter().any(|tensor| tensor.name == name) {
            return Err(place.invalid(format_args!("is the name of an earlier tensor: {name}")));
        }
        let dtype = object.required("dtype")?;
        let shape = object.required("shape")?.array(MOST_DIMENSIONS)?;
        tensors.push(Tensor {
            name,
            dtype: Dtype::parse(dtype.string()?).ok_or_else(|| {
                dtype
                    .place
                    .invalid("must be one of f32 f16 bf16 i8 u8 i32 u32 q8 q4")
            })?,
            shape: shape.map(|dim| dimension(&dim)).collect::<Result<_, _>>()?,
        });
        object.finish()?;
    }
    Ok(tensors)
}

/// A kernel without outputs computes nothing that could be judged.
pub(crate) fn outputs(field: Field<'_>) -> Result<Vec<Tensor>, Rejection> {
    let place = field.place.clone();
    let tensors = tensors(field)?;
    if tensors.is_empty() {
        return Err(place.invalid("is empty; a kernel has at least one output"));
    }
    Ok(tensors)
}

fn dimension(field: &Field<'_>) -> Result<Dimension, Rejection> {
    if !matches!(field.value, Value::String(_)) {
        return Ok(Dimension::Fixed(field.integer32(1, u32::MAX)?));
    }
    let symbol = field.identifier("letters, digits, `_`, `+`, `-`, `*`, `/`", |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'-' | b'*' | b'/')
    })?;
    if !symbol.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return Err(field.place.invalid("must start with a letter"));
    }
    Ok(Dimension::Symbolic(symbol))
}

/// Parameters in the order in which they are written: that of the struct.
pub(crate) fn params(field: Field<'_>) -> Result<Vec<(String, Param)>, Rejection> {
    named(Some(field), param)
}

/// `min` and `max` may be left out: then the type's own range is meant, of f32 the finite one.
fn param(field: Field<'_>) -> Result<Param, Rejection> {
    let mut object = field.object()?;
    let kind = object.required("type")?;
    let param = match kind.string()? {
        "f32" => {
            let (default, min, max) = range(&mut object, float32, f32::MIN, f32::MAX)?;
            Param::F32 { default, min, max }
        }
        "u32" => {
            let read = |field: &Field<'_>| field.integer32(0, u32::MAX);
            let (default, min, max) = range(&mut object, read, u32::MIN, u32::MAX)?;
            Param::U32 { default, min, max }
        }
        "i32" => {
            let (default, min, max) = range(&mut object, signed32, i32::MIN, i32::MAX)?;
            Param::I32 { default, min, max }
        }
        other => {
            return Err(kind.place.invalid(format_args!(
                "must be f32, u32 or i32, not {}",
                quoted(other)
            )));
        }
    };
    object.finish()?;
    Ok(param)
}

/// `default`, `min` and `max` of a parameter, in order; what stands for a bound that is left out comes last.
fn range<T: PartialOrd>(
    object: &mut Object<'_>,
    read: impl Fn(&Field<'_>) -> Result<T, Rejection>,
    smallest: T,
    largest: T,
) -> Result<(T, T, T), Rejection> {
    let default = read(&object.required("default")?)?;
    let mut bound = |name: &str, left_out: T| match object.optional(name) {
        Some(field) => read(&field),
        None => Ok(left_out),
    };
    let (min, max) = (bound("min", smallest)?, bound("max", largest)?);
    if min <= default && default <= max {
        Ok((default, min, max))
    } else {
        Err(object
            .place
            .field("default")
            .invalid("is not within min..max"))
    }
}

/// A number that f32 can hold: 1e39 is not one, it would become an infinity.
fn float32(field: &Field<'_>) -> Result<f32, Rejection> {
    let value = field.number()? as f32;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(field.place.invalid("is out of the range of f32"))
    }
}

fn signed32(field: &Field<'_>) -> Result<i32, Rejection> {
    let value = match field.value {
        Value::Unsigned(value) => i32::try_from(*value).ok(),
        Value::Negative(value) => i32::try_from(*value).ok(),
        _ => None,
    };
    value.ok_or_else(|| field.place.invalid("must be an integer of 32 bits"))
}

fn limits(field: Field<'_>, caps: &HostCaps) -> Result<ResourceLimits, Rejection> {
    let mut object = field.object()?;
    let limits = ResourceLimits {
        max_memory_pages: object
            .required("max_memory_pages")?
            .integer32(1, caps.max_memory_pages.min(65_536))?,
        max_epoch_ticks: object
            .required("max_epoch_ticks")?
            .integer(1, caps.max_epoch_ticks)?,
        max_table_elements: object
            .required("max_table_elements")?
            .integer32(0, caps.max_table_elements)?,
        max_fuel: object
            .optional("max_fuel")
            .map(|field| field.integer(1, u64::MAX))
            .transpose()?,
    };
    object.finish()?;
    Ok(limits)
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

/// An optional array.
fn list<T>(
    field: Option<Field<'_>>,
    most: usize,
    read: impl FnMut(Field<'_>) -> Result<T, Rejection>,
) -> Result<Vec<T>, Rejection> {
    match field {
        Some(field) => field.array(most)?.map(read).collect(),
        None => Ok(Vec::new()),
    }
}

/// An optional object whose keys are names, in order of the names.
pub(crate) fn names<T>(
    field: Option<Field<'_>>,
    read: impl FnMut(Field<'_>) -> Result<T, Rejection>,
) -> Result<BTreeMap<String, T>, Rejection> {
    named(field, read).map(|entries| entries.into_iter().collect())
}

/// An optional object whose keys are names, in the order in which they are written.
fn named<T>(
    field: Option<Field<'_>>,
    mut read: impl FnMut(Field<'_>) -> Result<T, Rejection>,
) -> Result<Vec<(String, T)>, Rejection> {
    let mut entries = Vec::new();
    let Some(field) = field else {
        return Ok(entries);
    };
    let place = field.place.clone();
    for (name, entry) in field.object()?.named() {
        check_identifier(name, &entry.place, "letters, digits, `.`, `_`, `-`", |b| {
            b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')
        })?;
        entries.push((name.to_owned(), read(entry)?));
        if entries.len() > MOST_NAMES {
            return Err(place.invalid(format_args!("has more than {MOST_NAMES} entries")));
        }
    }
    Ok(entries)
}
