"""From which of four made-up languages is a name? An Elman network reads it letter by letter."""
import random
import sys

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

seed = int(sys.argv[1])
random.seed(seed)
torch.manual_seed(seed)
languages = {
    "north": (["sk", "br", "th", "gr", "k"], ["o", "a", "u"], ["r", "ld", "nn", "g"]),
    "south": (["m", "l", "t", "v", "r"], ["a", "i", "o"], ["", "", "n", "l"]),
    "east": (["sh", "k", "y", "h", "n"], ["u", "i", "e"], ["", "n", "ng", ""]),
    "west": (["p", "f", "ch", "d", "b"], ["e", "ou", "ai"], ["x", "t", "s", "lle"]),
}
letters = "abcdefghijklmnopqrstuvwxyz"


def name(language):
    first, middle, last = languages[language]
    return "".join(
        random.choice(first) + random.choice(middle) + random.choice(last)
        for _ in range(random.randint(2, 3))
    )


def encode(word):
    return torch.tensor([letters.index(c) + 1 for c in word])


rows = [(encode(name(lang)), i) for i, lang in enumerate(languages) for _ in range(500)]
random.shuffle(rows)
train_rows, test_rows = rows[:1600], rows[1600:]


class NameRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(27, 16, padding_idx=0)
        self.rnn = nn.RNN(16, 48, batch_first=True)
        self.fc = nn.Linear(48, 4)

    def forward(self, words, lengths):
        packed = pack_padded_sequence(self.embed(words), lengths, batch_first=True, enforce_sorted=False)
        _, hidden = self.rnn(packed)
        return self.fc(hidden[-1])


def collate(batch):
    words, labels = zip(*batch)
    return pad_sequence(words, batch_first=True), torch.tensor([len(w) for w in words]), torch.tensor(labels)


loader = torch.utils.data.DataLoader(train_rows, batch_size=32, shuffle=True, collate_fn=collate)
net = NameRNN()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
for epoch in range(5):
    net.train()
    for words, lengths, labels in loader:
        optimizer.zero_grad()
        loss = criterion(net(words, lengths), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()

net.eval()
words, lengths, labels = collate(test_rows)
with torch.no_grad():
    predicted = net(words, lengths).argmax(1)
print("score", (predicted == labels).float().mean().item())
