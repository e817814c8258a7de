//! What to do about an error, in terms of options. Below this room an error says only what is wrong and where.

use super::advice_of_files::{by_hand, of_archive, of_arrays, of_table};
use super::nearest::meant;
use super::ranks::of_ranks;
use crate::error::{
    DataError, DeviceError, Error, ImagesError, Instead, IoError, MemoryError, ModelError, RunError, SetError,
    UsageError, in_one_line,
};
use std::error::Error as StdError;
use std::io::ErrorKind;

/// Where adapters come from.
const DRIVER: &str = "install a Vulkan driver (Debian: `apt install mesa-vulkan-drivers` gives the software one)";

/// Where a device computes what is wrong.
const REPORT: &str = "update the driver or choose another with --adapter, and report it with what `gpu-subset doctor` \
                      prints";

/// An error in one line: what and where, why as far as its sources add to that, and what to do about it.
pub(super) fn line(error: &(dyn StdError + 'static)) -> String {
    match error.downcast_ref().and_then(advice) {
        Some(advice) => format!("{}; {advice}", in_one_line(error)),
        None => in_one_line(error),
    }
}

/// What to do about an error, where anything is known.
pub(super) fn advice(error: &Error) -> Option<String> {
    match error {
        Error::Usage(UsageError::Copies { copies, .. }) => Some(format!("take fewer than --copies {copies}")),
        Error::Usage(UsageError::HeldOut { size, .. }) => Some(format!("hold out fewer than --held-out {size}")),
        Error::OutOfMemory(MemoryError::Copies { copies, .. }) => {
            Some(format!("take fewer than --copies {copies}, or --schedule sweep, which takes another in each epoch"))
        }
        Error::Device(DeviceError::NoAdapter) => Some(format!("{DRIVER}, or see `gpu-subset devices`")),
        Error::Device(DeviceError::NoSuchAdapter { .. }) => {
            Some(format!("choose another with --adapter (`gpu-subset devices` lists them), or {DRIVER}"))
        }
        Error::Data(DataError::Run(RunError::Config { source, .. }))
        | Error::Usage(UsageError::Model(ModelError::Syntax { source, .. })) => {
            let name = meant(source.downcast_ref::<toml::de::Error>()?.message())?;
            Some(format!("did you mean {name}?"))
        }
        Error::Io(IoError::Fetch { missing, .. }) => Some(by_hand(missing)),
        Error::Data(DataError::Set(SetError::Unpacked(unpacked))) => unpacked.cause.downcast_ref().and_then(advice),
        other => fixed(other).map(str::to_owned),
    }
}

/// Advice without numbers in it.
fn fixed(error: &Error) -> Option<&'static str> {
    match error {
        Error::Usage(cause) => of_usage(cause),
        Error::Data(DataError::Set(cause)) => of_set(cause),
        Error::Data(DataError::Run(cause)) => of_run(cause),
        Error::Data(DataError::Unreadable { .. }) => None,
        Error::Io(cause) => of_io(cause),
        Error::Rank(cause) => of_ranks(cause),
        Error::Device(cause) => of_device(cause),
        Error::OutOfMemory(cause) => of_memory(cause),
        Error::Diverged { weight_decay, .. } if *weight_decay > 1.0 => Some("lower --weight-decay"),
        Error::Diverged { learning_rate: Some(_), .. } => Some("lower --learning-rate"),
        Error::Diverged { .. } => Some("try another --seed, more --weight-decay, or check the model"),
        Error::Stopped | Error::Interrupted { .. } => Some("go on with --resume"),
    }
}

fn of_usage(cause: &UsageError) -> Option<&'static str> {
    match cause {
        UsageError::Model(cause) => of_model(cause),
        UsageError::Resize { .. } => Some("choose other sides with --resize"),
        UsageError::Backend { .. } => Some("choose one of these with --backend"),
        UsageError::Augmentation { .. } => Some("choose another in --augment"),
        UsageError::Choice { examples, most, .. } if examples <= most => Some("lower --batch, or raise --memory"),
        UsageError::Choice { .. } => Some("lower --batch"),
        UsageError::Group { group, block, .. } if !group.is_multiple_of(*block) => {
            Some("let group = … of the model be a multiple of 64")
        }
        UsageError::Pixels { .. } => Some("give --mean and --std one number, or one for each channel"),
        UsageError::Group { .. } => Some("raise --memory, or let group = … of the model be smaller"),
        UsageError::Subset { .. } => Some("choose another --subset, or hold out fewer with --held-out"),
        UsageError::Budget { .. } => Some("raise --budget"),
        UsageError::RunExists { .. } => {
            Some("choose another --out, go on with it by --resume, or replace it with --overwrite")
        }
        UsageError::RunInUse { .. } => Some("wait for it, or choose another --out"),
        UsageError::NotOurs { .. } => Some("choose another --out, or move it away"),
        UsageError::HeldOut { .. }
        | UsageError::Copies { .. }
        | UsageError::Arrays { .. }
        | UsageError::NoStep
        | UsageError::UnknownName { .. }
        | UsageError::Mismatch { .. }
        | UsageError::ClassWeights { .. }
        | UsageError::Configuration { .. }
        | UsageError::Refused { .. } => None,
    }
}

fn of_model(cause: &ModelError) -> Option<&'static str> {
    match cause {
        ModelError::Unknown { .. } => Some("name another with --model"),
        ModelError::NoDefault { .. } => Some("name one of these, or a TOML file, with --model"),
        ModelError::NoFactors { .. } => Some("choose a method without them, such as --method lbfgs"),
        ModelError::Units { .. } => Some("give it units = …"),
        ModelError::Outputs { .. } => Some("end it with kind = \"dense\" without units"),
        ModelError::Frozen { .. } => Some("choose another --freeze, the number in the name of a layer"),
        ModelError::NoParameters { .. } => Some("give it a conv or dense layer"),
        ModelError::TooLarge { .. } => Some("make the layers smaller"),
        ModelError::Groups { .. } => Some("choose a number of groups that divides the channels"),
        ModelError::Terms { .. } => Some("sum values of as many pixels; pad = true fills missing channels with zeros"),
        ModelError::Unread { .. } => Some("read it with from = …, or leave the layer out"),
        ModelError::SameName { .. } => Some("choose another one, and not \"input\""),
        ModelError::Unnamed { .. } => Some("give one name = …, or read \"input\""),
        ModelError::Syntax { .. }
        | ModelError::Size { .. }
        | ModelError::Sources { .. }
        | ModelError::Window { .. } => None,
    }
}

fn of_set(cause: &SetError) -> Option<&'static str> {
    match cause {
        SetError::Images(cause) => of_images(cause),
        SetError::Arrays(cause) => of_arrays(cause),
        SetError::Table(cause) => of_table(cause),
        SetError::Archive(cause) => Some(of_archive(cause)),
        SetError::Unpacked(_) => None,
        SetError::Unrecognised { found: Instead::Undivided, .. } => {
            Some("make these two folders and divide the images of each class between them, or let --test 1/5 do it")
        }
        SetError::Unrecognised { .. } => Some("name what holds the data set with --data"),
        SetError::NoSuchPrefix { .. } => Some("name one of them with --data"),
        SetError::Several { .. } => Some("name one of them with --data, or move one to a folder of its own"),
        SetError::NotAFile { .. } => Some("remove or rename it"),
        SetError::TestPart { .. } => Some("leave --test out"),
        SetError::OneClass { .. } => Some("add a folder, or labels, of another class"),
        SetError::Unexpected { .. } => Some("the file is damaged or not what its name says: fetch it again"),
        SetError::Inconsistent { .. } => Some("take both files from one set"),
        SetError::ClassNames { .. } => Some("mend it, or remove it to number the classes"),
        SetError::MissingIdx { .. } | SetError::MissingCifar { .. } => None,
    }
}

fn of_images(cause: &ImagesError) -> Option<&'static str> {
    Some(match cause {
        ImagesError::Unread { .. } => return None,
        ImagesError::NoTest { .. } => {
            "put held-out images there, in the same classes, or take a part of the training images with --test 1/5"
        }
        ImagesError::TwoTests { .. } => "leave --test out, or move that folder away",
        ImagesError::Several { .. } => "replace them, or go on without them with --skip-damaged",
        ImagesError::MissingClass { .. } => "add it",
        ImagesError::NoClasses { .. } => "give the images of each class a folder",
        ImagesError::ClassName { .. } => "rename the folder",
        ImagesError::NoImages { .. } => "add some, or remove it",
        ImagesError::Format { .. } | ImagesError::Kind { .. } => "convert it to png, or remove it",
        ImagesError::Size { .. } => "resize all with --resize HxW",
        ImagesError::Large { .. } | ImagesError::LongFile { .. } => "make it smaller, or remove it",
        ImagesError::Undecoded { .. }
        | ImagesError::Unexpected { .. }
        | ImagesError::Header { .. }
        | ImagesError::CutOff { .. } => "replace the file, or go on without it with --skip-damaged",
    })
}

fn of_run(cause: &RunError) -> Option<&'static str> {
    match cause {
        RunError::Incomplete { .. } => Some("go on with train --resume"),
        RunError::OtherData { .. } => Some("name where it is with --data"),
        RunError::NoState { .. } => Some("repeat it with --config and a larger budget in that file"),
        RunError::OtherClasses { .. } => Some("call the folders of the classes as there, or choose other data"),
        RunError::OtherTensor { .. } => Some("leave --model out to take the network of the weights"),
        RunError::InitialWeights { .. } | RunError::OtherWeights { .. } => {
            Some("put them back, or start another run with --init")
        }
        RunError::NothingKept { .. } => Some("leave --init out"),
        RunError::OtherValues { .. } => Some("choose data of the same kind"),
        RunError::OtherImages { .. } => Some("choose other data, or --resize"),
        RunError::OtherConfiguration { .. } | RunError::OtherSteps { .. } => {
            Some("undo what was changed, or start another run with --config")
        }
        _ => None,
    }
}

fn of_io(cause: &IoError) -> Option<&'static str> {
    match cause {
        IoError::File { source, .. } if [ErrorKind::StorageFull, ErrorKind::QuotaExceeded].contains(&source.kind()) => {
            Some("make room on that disk; a run that was going on does so with --resume")
        }
        _ => None,
    }
}

fn of_device(cause: &DeviceError) -> Option<&'static str> {
    match cause {
        DeviceError::Unfit { .. } | DeviceError::Unopened { .. } => Some("choose another with --adapter"),
        DeviceError::Lost { .. } => Some("update the driver, see `gpu-subset doctor`, and go on with --resume"),
        DeviceError::Gone { .. } => {
            Some("go on with --resume once `gpu-subset doctor` finds it, or choose another with --adapter")
        }
        DeviceError::Rejected { .. } | DeviceError::Shader(_) | DeviceError::Unfinished { .. } => {
            Some("update the driver; if it stays, report it with what `gpu-subset doctor` prints")
        }
        DeviceError::Unread { .. } | DeviceError::NotFinite { .. } => Some(REPORT),
        DeviceError::Wrong { .. } | DeviceError::Unsteady { .. } => Some(REPORT),
        _ => None,
    }
}

fn of_memory(cause: &MemoryError) -> Option<&'static str> {
    Some(match cause {
        MemoryError::Allocation { .. } => "lower --memory or use a smaller model (--model)",
        MemoryError::Device { .. } => "lower --memory, or free the device",
        MemoryError::Host { .. } | MemoryError::Examples { .. } => "use a smaller data set (--data)",
        MemoryError::Chunk { .. } => "raise --memory or use a smaller model (--model)",
        MemoryError::Parameters { .. } => "use a smaller model (--model)",
        MemoryError::Factor { .. } => {
            "lower --whole-inputs or --whole-outputs (sweep), choose a method without factors, such as --method lbfgs \
             or adam, or pool before the layer"
        }
        MemoryError::Turns { .. } | MemoryError::Binding { .. } | MemoryError::Grid { .. } => {
            "use smaller images (--resize) or a smaller model (--model)"
        }
        MemoryError::Copies { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::one_line;
    use crate::error::samples;

    /// A fragment of what an error says, and of what is said to be done about it.
    const TABLE: &[(&str, &str)] = &[
        ("resize to 0x8", "--resize"),
        ("interfaces vulkan, gl", "--backend"),
        ("augmentation crop=8", "--augment"),
        ("3000000 copies of each", "--copies 3000000"),
        ("choosing among 1024 examples", "lower --batch, or raise --memory"),
        ("a subset of 1/8", "--subset"),
        ("a subset of 1/8", "--held-out"),
        ("leaves none", "fewer than --held-out 1/1"),
        ("a budget of 0.3 epochs", "raise --budget"),
        ("holds a run already", "another --out"),
        ("holds a run already", "by --resume"),
        ("holds a run already", "--overwrite"),
        ("creating a\u{fffd}b\u{fffd} failed", "make room on that disk"),
        ("in use by", "another --out"),
        ("not of a run of this program", "another --out"),
        ("not the configuration that", "--config"),
        ("are not the records that", "--config"),
        ("neither a built-in model", "--model"),
        ("there is no default model", "--model"),
        ("no Kronecker factors", "--method lbfgs"),
        ("a dense layer without units", "units = "),
        ("but the data has 10 classes", "kind = \"dense\""),
        ("no layer has parameters", "conv or dense"),
        ("does not exist: understood", "--data"),
        ("neither a folder nor a file", "--data"),
        ("is empty", "--data"),
        ("no train/ and test/", "make these two folders"),
        ("holds no data set", "--data"),
        ("the IDX sets there are", "name one of them with --data"),
        ("several data sets", "name one of them with --data"),
        ("expected a regular file", "remove or rename it"),
        ("expected images, found none", "fetch it again"),
        ("expected 10 labels, found 9", "take both files from one set"),
        ("lines of class names", "number the classes"),
        ("has train/ but no test/", "put held-out images there"),
        ("missing, while there is", "add it"),
        ("no class folders", "a folder"),
        ("not UTF-8", "rename the folder"),
        ("holds no images", "add some, or remove it"),
        ("this format is not read", "convert it to png"),
        ("this kind of picture is not read", "convert it to png"),
        ("9x7 pixels (HxW), but", "resize all with --resize HxW"),
        ("expected a whole image", "replace the file"),
        ("that a picture may", "make it smaller"),
        ("from pictures alone", "leave --test out"),
        ("nothing to tell apart", "of another class"),
        ("has the classes a", "call the folders"),
        ("there is a test part already", "leave --test out"),
        ("12 images cannot be read: a.png: expected more; b; and 10 more", "--skip-damaged"),
        ("has train/ but no test/", "--test 1/5"),
        ("no train/ and test/", "let --test 1/5"),
        ("the run is not complete", "train --resume"),
        ("but the run was trained on", "--resize"),
        ("pixels: a", "--mean and --std"),
        ("parameters are in 1 to 9", "another --freeze"),
        ("a 16×3 tensor", "leave --model out"),
        ("no tensor a", "leave --model out"),
        ("starts from cannot be read", "another run with --init"),
        ("not the weights that", "another run with --init"),
        ("nothing to start from", "leave --init out"),
        ("not the data that the run was made on", "--data"),
        ("not the data that the run of a", "--data"),
        ("kept no state.safetensors", "--config"),
        ("no GPU adapter", "mesa-vulkan-drivers"),
        ("no adapter is called", "--adapter"),
        (", 128 are needed", "--adapter"),
        ("does not open", "--adapter"),
        ("was lost (", "see `gpu-subset doctor`, and go on with --resume"),
        ("does not open again", "--resume once `gpu-subset doctor`"),
        ("rejected a command", "`gpu-subset doctor`"),
        ("is not finite on", "`gpu-subset doctor`"),
        ("of the largest value", "`gpu-subset doctor`"),
        ("other bits on", "--adapter"),
        ("theta needs", "lower --memory or use a smaller model (--model)"),
        ("is out of memory", "lower --memory"),
        ("no memory for", "smaller data set (--data)"),
        ("a chunk of 64 examples", "raise --memory or use a smaller model (--model)"),
        ("parameters are more than", "smaller model (--model)"),
        ("factor of 6145 rows", "--method lbfgs or adam"),
        ("factor of 6145 rows", "pool before the layer"),
        ("binds at most", "smaller images (--resize) or a smaller model (--model)"),
        ("ends them after", "smaller images (--resize) or a smaller model (--model)"),
        ("weights are more than any device", "make the layers smaller"),
        ("missing; a set is", "save it"),
        ("images of dtype int16", "images.astype(np.float32)"),
        ("labels of dtype float32", "astype(np.int64)"),
        ("comma-separated", "as CSV in UTF-8"),
        ("a table of 3072.0 MiB", "--data"),
        ("no column label or class", "first line"),
        ("line 7: expected a label", "mend that line"),
        ("no row for training", "add rows"),
        ("no row is for testing", "--test 1/5"),
        ("a whole zip file", "fetch it again"),
        ("a whole tar file", "fetch it again"),
        ("is a link", "with --data"),
        ("no path inside", "with --data"),
        ("the most that is unpacked", "with --data"),
        ("files and folders", "with --data"),
        ("fetching", "bring b.gz there"),
        ("a side are allowed", "smaller images (--resize) or a smaller model (--model)"),
    ];

    #[test]
    fn what_can_be_done_about_an_error_is_said_with_the_option_that_does_it() {
        let more = [
            ("come to 2147483648 examples", "fewer than --copies 1500000, or --schedule sweep"),
            ("stopped in iteration 3 of the full set", "go on with --resume"),
            ("more than a binding of a\u{fffd}b\u{fffd} indexes", "smaller data set (--data)"),
        ];
        let samples = samples::all();
        for (what, to_do) in TABLE.iter().copied().chain(more) {
            let found: Vec<_> = samples.iter().filter(|error| error.to_string().contains(what)).collect();
            assert!(!found.is_empty(), "nothing says {what}");
            for error in found {
                let advice = advice(error).unwrap_or_default();
                assert!(advice.contains(to_do), "{error}: {to_do} is not in: {advice}");
            }
        }
    }

    #[test]
    fn an_error_is_one_line_with_its_sources_and_what_to_do() {
        for error in samples::all() {
            let (line, advice) = (line(&error), advice(&error));
            assert!(line.starts_with(&error.to_string()) && !line.contains(char::is_control), "{line}");
            assert!(advice.is_none_or(|advice| line.ends_with(&format!("; {advice}"))), "{line}");
        }
        let missing = Error::io("writing", "x".as_ref(), ErrorKind::NotFound.into());
        assert_eq!(line(&missing), "writing x failed: entity not found");
        let toml = toml::from_str::<toml::Table>("a = 1\nb = ").unwrap_err();
        let message = toml.message().to_owned();
        let broken: Error = ModelError::Syntax { file: "m.toml".to_owned(), line: 2, source: Box::new(toml) }.into();
        assert_eq!(line(&broken), format!("m.toml, line 2: no description of a model: {}", one_line(&message)));
    }
}
