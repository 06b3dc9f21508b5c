#!/usr/bin/python3
"""Train the digits model: a network of one hidden layer on the UCI digits data that scikit-learn carries.

Writes, into the folder above this script:
  digits.bin          the weights (format: README.md)
  heldout.txt         the held-out fifth of the data: one image a line, 64 numbers from 0 to 16, row by row
  heldout.labels.txt  the digit of each of those images, one a line
  accuracy.json       what the written weights score on the held-out images

The seed is fixed, so the same scikit-learn writes the same files. The held-out images are never shown to training and
no setting was chosen by looking at their score. Needs scikit-learn: on Debian, apt-get install python3-sklearn.
"""

import json
import os
import struct
import sys
import warnings

try:
    import numpy as np
    import sklearn
    from sklearn.datasets import load_digits
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier
except ImportError as missing:
    sys.exit(f"train: {missing}: on Debian, apt-get install python3-sklearn and run with /usr/bin/python3")

SEED = 1
HIDDEN = 64
MAGIC = b"MMDIGIT1"
FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def write(name, content):
    """Replace a file of the model's folder: all of it or nothing."""
    path = os.path.join(FOLDER, name)
    temporary = path + ".new"
    with open(temporary, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    os.rename(temporary, path)


def answers(weights, images):
    """The network's answers in float32, as the runner computes them."""
    hidden_weights, hidden_bias, output_weights, output_bias = weights
    hidden = np.maximum(images.astype("<f4") / np.float32(16) @ hidden_weights.T + hidden_bias, 0)
    return np.argmax(hidden @ output_weights.T + output_bias, axis=1)


def main():
    data = load_digits()
    images, held_images, labels, held_labels = train_test_split(
        data.data, data.target, test_size=0.2, random_state=SEED, stratify=data.target
    )
    network = MLPClassifier(hidden_layer_sizes=(HIDDEN,), alpha=0.1, max_iter=300, random_state=SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping after 300 passes is meant
        network.fit(images / 16, labels)

    # One row a unit: the runner walks a row at a time.
    weights = [
        part.astype("<f4")
        for part in (
            network.coefs_[0].T,
            network.intercepts_[0],
            network.coefs_[1].T,
            network.intercepts_[1],
        )
    ]
    correct = int((answers(weights, held_images) == held_labels).sum())

    head = MAGIC + struct.pack("<III", images.shape[1], HIDDEN, len(network.classes_))
    write("digits.bin", head + b"".join(part.tobytes() for part in weights))
    lines = [" ".join(str(int(value)) for value in image) for image in held_images]
    write("heldout.txt", ("\n".join(lines) + "\n").encode())
    write("heldout.labels.txt", "".join(f"{label}\n" for label in held_labels).encode())
    summary = {
        "correct": correct,
        "total": len(held_labels),
        "accuracy": round(correct / len(held_labels), 4),
        "trained_on": len(labels),
        "hidden_units": HIDDEN,
        "seed": SEED,
        "scikit_learn": sklearn.__version__,
    }
    write("accuracy.json", (json.dumps(summary, indent=2) + "\n").encode())
    print(f"{correct} of {len(held_labels)} held-out images right: {correct / len(held_labels):.2%}")


if __name__ == "__main__":
    main()
