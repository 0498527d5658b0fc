"""Read six digits, write them sorted: a GRU decoder that looks back at the encoder's states."""
import sys

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(int(sys.argv[1]))
START, LENGTH = 10, 6
rows = torch.randint(0, 10, (3400, LENGTH))
in_order = rows.sort(1).values
source_train, target_train = rows[:3000], in_order[:3000]
source_test, target_test = rows[3000:], in_order[3000:]


class Encoder(nn.Module):
    def __init__(self, size=48):
        super().__init__()
        self.embed = nn.Embedding(10, size)
        self.gru = nn.GRU(size, size, batch_first=True)

    def forward(self, tokens):
        return self.gru(self.embed(tokens))


class Decoder(nn.Module):
    def __init__(self, size=48):
        super().__init__()
        self.embed = nn.Embedding(11, size)
        self.gru = nn.GRU(size, size, batch_first=True)
        self.query = nn.Linear(size, size)
        self.out = nn.Linear(2 * size, 10)

    def forward(self, tokens, memory, hidden):
        states, hidden = self.gru(self.embed(tokens), hidden)
        weights = torch.softmax(self.query(states) @ memory.transpose(1, 2), dim=-1)
        return self.out(torch.cat([states, weights @ memory], dim=-1)), hidden


encoder, decoder = Encoder(), Decoder()
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=4e-3)
for epoch in range(10):
    for rows in torch.randperm(len(source_train)).split(60):
        memory, hidden = encoder(source_train[rows])
        target = target_train[rows]
        decoder_input = torch.cat([torch.full((len(rows), 1), START), target[:, :-1]], dim=1)
        logits, _ = decoder(decoder_input, memory, hidden)
        loss = F.cross_entropy(logits.reshape(-1, 10), target.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

encoder.eval(), decoder.eval()
with torch.no_grad():
    memory, hidden = encoder(source_test)
    token = torch.full((len(source_test), 1), START)
    said = []
    for _ in range(LENGTH):
        logits, hidden = decoder(token, memory, hidden)
        token = logits.argmax(-1)
        said.append(token)
print("score", (torch.cat(said, 1) == target_test).float().mean().item())
