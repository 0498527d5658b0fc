"""Several labels per row: one sigmoid per label."""
import argparse

import torch
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import f1_score
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("seed", type=int)
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--epochs", type=int, default=25)
parser.add_argument("--batch-size", type=int, default=32)
args = parser.parse_args()
torch.manual_seed(args.seed)

x, y = make_multilabel_classification(1200, 20, n_classes=5, n_labels=2, random_state=args.seed)
x = torch.tensor(x, dtype=torch.float)
y = torch.tensor(y, dtype=torch.float)
x_train, x_val, y_train, y_val = x[:900], x[900:], y[:900], y[900:]
mean, std = x_train.mean(0), x_train.std(0)
x_train = (x_train - mean) / std
x_val = (x_val - mean) / std


class Tagger(nn.Module):
    def __init__(self, n_in, n_out, hidden=64):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_in, hidden), nn.ReLU())
        self.head = nn.Linear(hidden, n_out)

    def forward(self, x):
        return self.head(self.body(x))


tagger = Tagger(20, 5)
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(tagger.parameters(), lr=args.lr, momentum=0.9, weight_decay=1e-3)
train_set = torch.utils.data.TensorDataset(x_train, y_train)
loader = torch.utils.data.DataLoader(train_set, batch_size=args.batch_size, shuffle=True)

for epoch in range(args.epochs):
    tagger.train()
    running = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        logits = tagger(xb)
        loss = criterion(logits, yb)
        loss.backward()
        optimizer.step()
        running += loss.item()
    if epoch % 10 == 0:
        print(f"epoch {epoch} loss {running / len(loader):.3f}")

tagger.eval()
with torch.no_grad():
    predicted = (tagger(x_val) > 0).numpy()
print("score", f1_score(y_val.numpy(), predicted, average="micro"))
