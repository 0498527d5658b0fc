"""A character model whose state is carried from one stretch of the text to the next."""
import random
import sys

import torch
from torch import nn

torch.manual_seed(int(sys.argv[1]))
random.seed(int(sys.argv[1]))
syllables = ["ba", "do", "ki", "lu", "me", "sto", "tri", "va"]
words = ["".join(random.choices(syllables, k=random.randint(1, 3))) for _ in range(30)]
text = " ".join(random.choice(words) for _ in range(6000))
alphabet = sorted(set(text))
codes = torch.tensor([alphabet.index(c) for c in text])


def batchify(data, batch_size):
    length = len(data) // batch_size
    return data[: length * batch_size].view(batch_size, length).t().contiguous()


border = int(0.9 * len(codes))
train_data, val_data = batchify(codes[:border], 20), batchify(codes[border:], 20)
bptt = 25


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Embedding(len(alphabet), 32)
        self.rnn = nn.LSTM(32, 64)
        self.decoder = nn.Linear(64, len(alphabet))

    def forward(self, tokens, state):
        output, state = self.rnn(self.encoder(tokens), state)
        return self.decoder(output), state


def repackage(state):
    return tuple(part.detach() for part in state)


model = Model()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(3):
    model.train()
    state = (torch.zeros(1, 20, 64), torch.zeros(1, 20, 64))
    for i in range(0, len(train_data) - 1 - bptt, bptt):
        data, targets = train_data[i : i + bptt], train_data[i + 1 : i + 1 + bptt]
        state = repackage(state)
        optimizer.zero_grad()
        output, state = model(data, state)
        loss = criterion(output.view(-1, len(alphabet)), targets.reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()

model.eval()
with torch.no_grad():
    output, _ = model(val_data[:-1], (torch.zeros(1, 20, 64), torch.zeros(1, 20, 64)))
    right = output.argmax(-1) == val_data[1:]
print("score", right.float().mean().item())
