//! Kinds that ask the tables.

use cog_python::tables::{Build, Flavour, Release, Tables, TorchPackage};
use serde_json::{Value, json};

use super::Answer;

fn text<'v>(input: &'v Value, key: &str) -> &'v str {
    input[key].as_str().unwrap_or_default()
}

pub fn version(input: &Value) -> Answer {
    let (left, right) = (text(input, "a"), text(input, "b"));
    let mut answer = Answer::new();
    let both = left
        .parse::<Release>()
        .ok()
        .zip(right.parse::<Release>().ok());
    let same = left == right;
    let strip = left
        .parse::<Release>()
        .map_or_else(|_| left.to_owned(), |release| release.line());
    answer
        .set("a_strip_patch", strip)
        .set(
            "a_strip_modifier",
            left.split('+').next().unwrap_or_default(),
        )
        .set(
            "equal",
            both.as_ref().map_or(same, |(left, right)| left == right),
        )
        .set(
            "equal_minor",
            both.as_ref()
                .is_some_and(|(left, right)| left.same_line(right)),
        )
        .set(
            "greater",
            both.as_ref().is_some_and(|(left, right)| left > right),
        )
        .set(
            "greater_or_equal",
            both.as_ref().map_or(same, |(left, right)| left >= right),
        )
        .set(
            "matches",
            both.as_ref()
                .is_some_and(|(left, right)| left.matches(right)),
        );
    if both.is_some_and(|(left, right)| left.local() != right.local()) {
        answer.differs_because(
            &["equal", "greater_or_equal"],
            "B6: a local tag says how a release is built, not which one it is",
        );
    }
    answer
}

pub fn torch_wheel(input: &Value) -> Answer {
    let tables = Tables::built_in();
    let (package, version, cuda) = (
        text(input, "package"),
        text(input, "version"),
        text(input, "cuda"),
    );
    let of_cuda = cuda.parse::<Release>().ok();
    let wheel = match (package, &of_cuda) {
        ("torchvision", cuda) => tables.torchvision_wheel(version, cuda.as_ref()),
        (_, Some(cuda)) => tables.torch_gpu_wheel(TorchPackage::Torch, version, cuda),
        (_, None) => tables.torch_cpu_wheel(TorchPackage::Torch, version),
    };
    let mut answer = Answer::new();
    if wheel.is_none() {
        answer.say(format!("{package} {version} is not known for CUDA {cuda}"));
    }
    if package == "torchvision" && version.contains('+') {
        answer.differs_because(
            &["extra_index_url", "console"],
            "B6: a local tag of torchvision names the build, so its index is known",
        );
    }
    let (version, index) = wheel.map_or((version.to_owned(), None), |wheel| {
        (wheel.version, wheel.index)
    });
    answer
        .set("name", package)
        .set("version", version)
        .set("extra_index_url", index.unwrap_or_default())
        .set("find_links", "");
    answer
}

pub fn cudas_from_torch(input: &Value) -> Answer {
    let version = text(input, "version");
    if version.is_empty() {
        return Answer::refused(&"torch needs a version in a GPU build");
    }
    let cudas = version
        .parse::<Release>()
        .map(|release| Tables::built_in().torch_cudas(&release))
        .unwrap_or_default();
    let mut answer = Answer::new();
    answer.set(
        "cudas",
        json!(cudas.iter().map(Release::to_string).collect::<Vec<_>>()),
    );
    answer
}

pub fn cuda_from_tensorflow(input: &Value) -> Answer {
    let row = Tables::built_in()
        .tensorflow
        .release(text(input, "version"));
    let mut answer = Answer::new();
    answer
        .set("cuda", row.map(|row| row.cuda.line()).unwrap_or_default())
        .set(
            "cudnn",
            row.map(|row| row.cudnn.major().to_string())
                .unwrap_or_default(),
        );
    answer
}

pub fn cuda_from_index_url(input: &Value) -> Answer {
    let cuda = Build::cuda_of_index(text(input, "url")).map(|cuda| cuda.to_string());
    let mut answer = Answer::new();
    answer.set("cuda", json!(cuda));
    answer
}

pub fn cuda_image(input: &Value) -> Answer {
    let table = &Tables::built_in().cuda;
    let (text_of_cuda, cudnn) = (text(input, "cuda"), text(input, "cudnn"));
    let Ok(cuda) = text_of_cuda.parse::<Release>() else {
        return Answer::refused(&format!("CUDA {text_of_cuda} is not known"));
    };
    let known: Vec<String> = table
        .cudnns(&cuda)
        .iter()
        .map(ToString::to_string)
        .collect();
    let mut answer = Answer::new();
    answer
        .set("compatible_cudnns", json!(known))
        .set_some("latest_cudnn", known.first().cloned());
    match table.image(&cuda, cudnn, Flavour::Devel) {
        Some(image) => answer.set("image", image),
        None => answer.refuse(&format!(
            "there is no known image of CUDA {cuda} and cuDNN {cudnn}"
        )),
    };
    answer
}

pub fn cog_base_image_name(input: &Value) -> Answer {
    let tables = Tables::built_in();
    let (cuda, python, torch) = (
        text(input, "cuda"),
        text(input, "python"),
        text(input, "torch"),
    );
    let torch = tables
        .cog_base_torch(cuda, python, torch)
        .unwrap_or_default();
    let mut answer = Answer::new();
    answer
        .set("name", tables.cog_base_name(cuda, python, &torch))
        .set("supported", tables.cog_base_exists(cuda, python, &torch))
        .set(
            "normalized",
            json!({"cuda": cuda, "python": python, "torch": torch}),
        );
    answer
}
