//! Published data sets: where their files are, and what they hold.

/// A file, its length and the SHA-256 of its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct RemoteFile {
    pub name: &'static str,
    pub bytes: u64,
    pub sha256: &'static str,
}

/// A data set that can be fetched.
#[derive(Debug)]
pub(super) struct PublishedSet {
    /// Addresses that the name of a file is appended to, tried in this order.
    pub mirrors: &'static [&'static str],
    pub files: &'static [RemoteFile],
    /// What the files unpack to, where they are archives.
    pub unpacked: &'static [(&'static str, u64)],
}

const fn file(name: &'static str, bytes: u64, sha256: &'static str) -> RemoteFile {
    RemoteFile { name, bytes, sha256 }
}

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte.gz";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte.gz";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte.gz";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte.gz";

pub(super) const MNIST: PublishedSet = PublishedSet {
    mirrors: &["https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"],
    files: &[
        file(TRAIN_IMAGES, 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        file(TRAIN_LABELS, 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        file(TEST_IMAGES, 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        file(TEST_LABELS, 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ],
    unpacked: &[],
};

pub(super) const FASHION_MNIST: PublishedSet = PublishedSet {
    mirrors: &[
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ],
    files: &[
        file(TRAIN_IMAGES, 26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        file(TRAIN_LABELS, 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        file(TEST_IMAGES, 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        file(TEST_LABELS, 5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ],
    unpacked: &[],
};

pub(super) const KMNIST: PublishedSet = PublishedSet {
    mirrors: &["https://codh.rois.ac.jp/kmnist/dataset/kmnist/", "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
    files: &[
        file(TRAIN_IMAGES, 18_165_135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
        file(TRAIN_LABELS, 29_497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
        file(TEST_IMAGES, 3_041_136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
        file(TEST_LABELS, 5_120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
    ],
    unpacked: &[],
};

const TORONTO: &[&str] = &["https://www.cs.toronto.edu/~kriz/", "http://www.cs.toronto.edu/~kriz/"];

pub(super) const CIFAR_10: PublishedSet = PublishedSet {
    mirrors: TORONTO,
    files: &[file(
        "cifar-10-binary.tar.gz",
        170_052_171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    )],
    unpacked: &[
        ("cifar-10-batches-bin/data_batch_1.bin", 30_730_000),
        ("cifar-10-batches-bin/data_batch_2.bin", 30_730_000),
        ("cifar-10-batches-bin/data_batch_3.bin", 30_730_000),
        ("cifar-10-batches-bin/data_batch_4.bin", 30_730_000),
        ("cifar-10-batches-bin/data_batch_5.bin", 30_730_000),
        ("cifar-10-batches-bin/test_batch.bin", 30_730_000),
    ],
};

pub(super) const CIFAR_100: PublishedSet = PublishedSet {
    mirrors: TORONTO,
    files: &[file(
        "cifar-100-binary.tar.gz",
        168_513_733,
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    )],
    unpacked: &[("cifar-100-binary/train.bin", 153_700_000), ("cifar-100-binary/test.bin", 30_740_000)],
};
