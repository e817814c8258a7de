//! Tables of pictures.

use crate::*;
use gpu_subset::data::{Note, TestShare};
use gpu_subset::error::TableError;

/// Six grey pictures, `0.png` to `5.png`, each of its own value.
fn pictures() -> Sample {
    let sample = Sample::new(Format::Table, GREY, (6, 1), 2);
    for (i, image) in (0..).zip(sample.train.images.bytes().unwrap().chunks_exact(GREY.len())) {
        sample.write(&format!("pictures/{i}.png"), &encode(image, GREY, ImageFormat::Png));
    }
    sample
}

fn open_table(sample: &Sample, text: &str, options: ReadOptions) -> Result<Dataset> {
    let path = sample.write("pictures/table.csv", text.as_bytes());
    Dataset::open(path.to_str().unwrap(), &options)
}

#[test]
fn rows_name_pictures_and_classes() {
    let sample = pictures();
    let image = |i: usize| &sample.train.images.bytes().unwrap()[i * GREY.len()..][..GREY.len()];
    let text = "\u{feff}Filename, Class ,SPLIT\r\n3.png,dog,train\r\n0.png,cat,Train\r\n\"1.png\",dog,test\r\n\
                2.png,cat,test\r\n4.png,cat,val\r\n";
    let set = open_table(&sample, text, ReadOptions::default()).unwrap();
    assert_eq!((set.name.as_str(), set.format, set.shape), ("table", Format::Table, GREY));
    assert_eq!((&set.classes[..], &set.train.labels[..]), (&["cat".to_owned(), "dog".to_owned()][..], &[0, 1][..]));
    assert_eq!(set.train.images, [image(0), image(3)].concat().into());
    assert_eq!(set.test.images, [image(2), image(1)].concat().into());
    assert_eq!(set.notes, [Note::UnusedRows { count: 1 }]);

    let without_test = text.replace(",test", ",val");
    let set = open_table(&sample, &without_test, ReadOptions::default()).unwrap();
    assert_eq!((set.test.len(), set.notes.len()), (3, 0), "without a test part val is one");
    let other_test = ReadOptions { test: Some("1/2".parse().unwrap()), ..ReadOptions::default() };
    assert_says(open_table(&sample, text, other_test), &["table.csv: there is a test part already"]);
}

#[test]
fn a_test_part_is_taken_as_from_folders() {
    let sample = pictures();
    let text = "image,label\n0.png,10\n1.png,2\n2.png,10\n3.png,2\n4.png,10\n5.png,2\n";
    assert_says(open_table(&sample, text, ReadOptions::default()), &["table.csv: no row is for testing"]);
    let share: TestShare = "1/3".parse().unwrap();
    let set = open_table(&sample, text, ReadOptions { test: Some(share), ..ReadOptions::default() }).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (4, 2));
    assert_eq!(set.classes, ["2", "10"], "numbers are sorted as such");
    // the same pictures in folders give the same set
    for (i, class) in [10, 2, 10, 2, 10, 2].iter().enumerate() {
        fs::create_dir_all(sample.path(&format!("folders/{class}"))).unwrap();
        fs::copy(sample.path(&format!("pictures/{i}.png")), sample.path(&format!("folders/{class}/{i}.png"))).unwrap();
    }
    let names = text.replace("10", "b").replace(",2", ",a");
    let set = open_table(&sample, &names, ReadOptions { test: Some(share), ..ReadOptions::default() }).unwrap();
    fs::rename(sample.path("folders/10"), sample.path("folders/b")).unwrap();
    fs::rename(sample.path("folders/2"), sample.path("folders/a")).unwrap();
    let options = ReadOptions { test: Some(share), ..ReadOptions::default() };
    let folders = Dataset::open(sample.path("folders").to_str().unwrap(), &options).unwrap();
    assert_eq!((folders.sha256, folders.classes), (set.sha256, set.classes));

    let enough = ReadOptions { is_test_enough: true, ..ReadOptions::default() };
    let set = open_table(&sample, text, enough).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (0, 6));
}

#[test]
fn table_defects() {
    let sample = pictures();
    let check = |text: &str, fragments: &[&str]| {
        let result = open_table(&sample, text, ReadOptions::default());
        assert_says(result, &[&["table.csv"], fragments].concat());
    };
    check("", &["no column path or file or filename or file_name or image; those of its first line are"]);
    check("path;label\n0.png;a\n", &["no column path", "those of its first line are path;label"]);
    check("path,split\n0.png,train\n", &["no column label or class; those of its first line are path, split"]);
    check("path,label,split\n0.png,a\n", &["expected a table of comma-separated values"]);
    check("path,label,split\n0.png,a,train\n1.png,,train\n", &["line 3: expected a label, found an empty cell"]);
    check("path,label,split\n,a,train\n", &["line 2: expected a path, found an empty cell"]);
    check("path,label,split\n0.png,a,tarin\n", &["line 2: expected train, test or val, found tarin"]);
    check("path,label,split\n0.png,a,train\n1.png,b,test\n", &["line 3: the class b has no row for training"]);
    check("path,label,split\n0.png,a,test\n1.png,b,test\n", &["no row is for training"]);
    check("path,label,split\n0.png,a,train\n1.png,b,train\n", &["no row is for testing"]);
    let latin = sample.write("pictures/latin.csv", b"path,label\n0.png,caf\xe9\n");
    let error = open(&latin).unwrap_err();
    assert!(matches!(error, Error::Data(DataError::Set(SetError::Table(TableError::Syntax { .. })))), "{error:?}");
}

#[test]
fn pictures_that_cannot_be_read_are_said_or_left_out() {
    let sample = pictures();
    sample.write("pictures/1.png", b"no picture");
    let text = "path,label,split\n0.png,a,train\n1.png,a,train\nnone.png,b,train\n2.png,b,train\n3.heic,b,train\n\
                4.png,a,test\n5.png,b,test\n";
    assert_says(
        open_table(&sample, text, ReadOptions::default()),
        &[
            "3 images cannot be read: ",
            "1.png: expected a whole image",
            "none.png: cannot be read",
            "3.heic: this format",
        ],
    );
    let options = ReadOptions { skip_damaged: true, ..ReadOptions::default() };
    let set = open_table(&sample, text, options).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (2, 2));
    assert!(matches!(set.notes[..], [Note::Damaged { count: 3, .. }]), "{:?}", set.notes);
}
