import sys
import torch
from torch import nn, optim
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split


class WineNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(13, 64)
        self.dropout = nn.Dropout(0.3)
        self.output = nn.Linear(64, 3)

    def forward(self, x):
        x = torch.relu(self.hidden(x))
        x = self.dropout(x)
        return self.output(x)


def standardize(train, test):
    m, s = train.mean(0, keepdim=True), train.std(0, keepdim=True)
    return (train - m) / s, (test - m) / s


seed = int(sys.argv[1])
torch.manual_seed(seed)
X, y = load_wine(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, stratify=y, random_state=seed)
X_train, X_test, y_train, y_test = map(torch.tensor, (X_train, X_test, y_train, y_test))
X_train, X_test = standardize(X_train.float(), X_test.float())

model = WineNet()
optimizer = optim.Adam(model.parameters(), lr=0.01)
scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=15, gamma=0.5)
loss_fn = nn.CrossEntropyLoss()
dataset = torch.utils.data.TensorDataset(X_train, y_train)
loader = torch.utils.data.DataLoader(dataset, batch_size=16, shuffle=True)

for epoch in range(45):
    model.train()
    for xb, yb in loader:
        loss = loss_fn(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    scheduler.step()

model.eval()
with torch.no_grad():
    print("score", (model(X_test).argmax(dim=1) == y_test).float().mean().item())
