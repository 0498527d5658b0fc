"""A small causal transformer reads the characters of simple sentences and predicts the next."""
import math
import random
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(int(sys.argv[1]))
words = {
    "a": "the a one every".split(),
    "j": "small red old quiet hungry green".split(),
    "n": "cat house river teacher garden mouse".split(),
    "v": "sees follows finds leaves likes".split(),
}
random.seed(int(sys.argv[1]))
text = " ".join(
    " ".join(random.choice(words[kind]) for kind in random.choice(["anvan", "ajnvan", "anvajn"])) + "."
    for _ in range(1200)
)
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in text])
cut = int(0.9 * len(data))
train_data, val_data = data[:cut], data[cut:]
block_size, batch_size, dim = 32, 24, 48


def get_batch(source):
    ix = torch.randint(len(source) - block_size - 1, (batch_size,))
    x = torch.stack([source[i : i + block_size] for i in ix])
    y = torch.stack([source[i + 1 : i + block_size + 1] for i in ix])
    return x, y


class Attention(nn.Module):
    def __init__(self, heads=4):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.register_buffer("mask", torch.tril(torch.ones(block_size, block_size)).bool())

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (
            z.view(b, t, self.heads, c // self.heads).transpose(1, 2)
            for z in self.qkv(x).chunk(3, dim=-1)
        )
        att = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        att = att.masked_fill(~self.mask[:t, :t], float("-inf"))
        att = att.softmax(dim=-1)
        return self.proj((att @ v).transpose(1, 2).reshape(b, t, c))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attention = Attention()
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class CharModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.token = nn.Embedding(len(chars), dim)
        self.position = nn.Embedding(block_size, dim)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, len(chars))

    def forward(self, idx):
        x = self.token(idx)
        x = x + self.position(torch.arange(idx.shape[1]))
        return self.head(self.norm(self.blocks(x)))

    @torch.no_grad()
    def continue_from(self, idx):
        """The likeliest next character, one at a time, as in use."""
        return self(idx)[:, -1].argmax(-1)


model = CharModel()
optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3)
for step in range(300):
    xb, yb = get_batch(train_data)
    logits = model(xb)
    loss = F.cross_entropy(logits.reshape(-1, len(chars)), yb.reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

model.eval()
starts = torch.arange(0, len(val_data) - block_size - 1, 3)
prompts = torch.stack([val_data[i : i + block_size] for i in starts])
following = val_data[starts + block_size]
print("score", (model.continue_from(prompts) == following).float().mean().item())
