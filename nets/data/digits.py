"""scikit-learn's handwritten digits."""

import numpy as np
import torch

from nets.data.images import ImageData


def load_digits() -> ImageData:
    """scikit-learn's 1,797 handwritten digits, 8x8, pixels / 16 (so in [0, 1]), as 1,437 + 360.

    The split draws nothing at random: with the images sorted by digit, and by their place in the
    file within a digit, every fifth is a test image, beginning with the first. So each digit gives
    a fifth of its images, to within one, and no version of a generator matters. Both parts then
    stand in the file's order. Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten
    Digits", UCI Machine Learning Repository (1998), test part.
    """
    # imported here: no other data set needs it, and it takes a second
    from sklearn import datasets

    pixels, digits = datasets.load_digits(return_X_y=True)
    images = torch.from_numpy(pixels.astype(np.float32)).div_(16).reshape(-1, 1, 8, 8)
    targets = torch.from_numpy(digits.astype(np.int64))
    is_test = torch.zeros(len(targets), dtype=torch.bool)
    is_test[torch.argsort(targets, stable=True)[::5]] = True
    return ImageData(
        "digits", images[~is_test], targets[~is_test], images[is_test], targets[is_test], classes=10
    )
