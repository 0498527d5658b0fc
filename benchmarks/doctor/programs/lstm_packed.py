"""Does the sequence hold the key token twice or more? Sequences of different lengths, packed."""
import sys
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader

torch.manual_seed(int(sys.argv[1]))


def generate(n):
    rows = []
    for _ in range(n):
        length = int(torch.randint(6, 16, ()))
        tokens = torch.randint(3, 12, (length,))
        count = int(torch.randint(0, 4, ()))
        tokens[torch.randperm(length)[:count]] = 2
        rows.append((tokens, float(count >= 2)))
    return rows


def collate(rows):
    tokens, labels = zip(*rows)
    lengths = torch.tensor([len(t) for t in tokens])
    return pad_sequence(tokens, batch_first=True), lengths, torch.tensor(labels)


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(12, 12, padding_idx=0)
        self.lstm = nn.LSTM(12, 24, batch_first=True)
        self.fc = nn.Linear(24, 1)

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(self.embed(tokens), lengths, batch_first=True, enforce_sorted=False)
        _, (h, _) = self.lstm(packed)
        return self.fc(h[-1]).squeeze(1)


train_loader = DataLoader(generate(800), batch_size=32, shuffle=True, collate_fn=collate)
test_loader = DataLoader(generate(300), batch_size=1, collate_fn=collate)
model = Counter()
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(10):
    model.train()
    for tokens, lengths, labels in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(tokens, lengths), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

model.eval()
right = total = 0
with torch.no_grad():
    for tokens, lengths, labels in test_loader:
        right += ((model(tokens, lengths) > 0) == (labels > 0.5)).sum().item()
        total += len(labels)
print("score", right / total)
