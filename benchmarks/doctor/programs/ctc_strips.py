"""Strips of coloured bars are read as a string, without being told where each letter stands."""
import sys

import torch
from torch import nn

torch.manual_seed(int(sys.argv[1]))
LETTERS, FRAMES, FEATURES = 5, 20, 8
shapes = torch.randn(LETTERS, FEATURES) * 1.5


def make(count):
    frames = 0.4 * torch.randn(count, FRAMES, FEATURES)
    targets, lengths = torch.zeros(count, 4, dtype=torch.long), torch.randint(2, 5, (count,))
    for row in range(count):
        at = int(torch.randint(0, 3, (1,)))
        for place in range(int(lengths[row])):
            letter = int(torch.randint(LETTERS, (1,)))
            wide = int(torch.randint(2, 4, (1,)))
            frames[row, at : at + wide] += shapes[letter]
            targets[row, place] = letter + 1
            at += wide + 1
    return frames, targets, lengths


train_frames, train_targets, train_lengths = make(1000)
test_frames, test_targets, test_lengths = make(300)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(FEATURES, 32, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(64, LETTERS + 1)

    def forward(self, frames):
        return self.fc(self.rnn(frames)[0]).log_softmax(-1)


reader = Reader()
ctc = nn.CTCLoss(blank=0)
optimizer = torch.optim.Adam(reader.parameters(), lr=5e-3)
for epoch in range(12):
    for rows in torch.randperm(len(train_frames)).split(50):
        log_probs = reader(train_frames[rows]).transpose(0, 1)
        input_lengths = torch.full((len(rows),), FRAMES)
        loss = ctc(log_probs, train_targets[rows], input_lengths, train_lengths[rows])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 5.0)
        optimizer.step()

reader.eval()
with torch.no_grad():
    best = reader(test_frames).argmax(-1)
right = 0
for row in range(len(best)):
    said = [int(c) for c in torch.unique_consecutive(best[row]) if c != 0]
    right += said == test_targets[row, : test_lengths[row]].tolist()
print("score", right / len(best))
