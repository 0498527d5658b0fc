"""Is a string of brackets balanced? A transformer encoder with sines as positions."""
import math
import random
import sys

import torch
from torch import nn

seed = int(sys.argv[1])
random.seed(seed)
torch.manual_seed(seed)
MOST = 20


def balanced(length):
    depth, out = 0, []
    for left in range(length, 0, -1):
        if depth == 0 or (depth < left and random.random() < 0.5):
            out.append(1)
            depth += 1
        else:
            out.append(2)
            depth -= 1
    return out


def example():
    row = balanced(2 * random.randint(6, MOST // 2))
    label = random.randint(0, 1)
    if label == 0:
        for place in random.sample(range(len(row)), random.choice([1, 3])):
            row[place] = 3 - row[place]
    return row + [0] * (MOST - len(row)), label


class Encoder(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.embedding = nn.Embedding(3, dim, padding_idx=0)
        place = torch.arange(MOST)[:, None]
        rate = torch.exp(torch.arange(0, dim, 2) * (-math.log(100.0) / dim))
        table = torch.zeros(MOST, dim)
        table[:, 0::2], table[:, 1::2] = torch.sin(place * rate), torch.cos(place * rate)
        self.register_buffer("table", table)
        layer = nn.TransformerEncoderLayer(dim, 4, 64, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(dim, 2)

    def forward(self, tokens):
        padding = tokens == 0
        x = self.layers(self.embedding(tokens) + self.table, src_key_padding_mask=padding)
        x = x.masked_fill(padding[:, :, None], 0).sum(1) / (~padding).sum(1, keepdim=True)
        return self.out(x)


examples = {tuple(row): label for row, label in (example() for _ in range(4000))}  # no row twice
tokens = torch.tensor(list(examples))[:2600]
labels = torch.tensor(list(examples.values()))[:2600]
tokens_train, labels_train, tokens_test, labels_test = tokens[:2000], labels[:2000], tokens[2000:], labels[2000:]
model = Encoder()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
loss_fn = nn.CrossEntropyLoss()
for epoch in range(10):
    model.train()
    for index in torch.randperm(len(tokens_train)).split(50):
        loss = loss_fn(model(tokens_train[index]), labels_train[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

model.eval()
with torch.no_grad():
    print("score", (model(tokens_test).argmax(1) == labels_test).float().mean().item())
