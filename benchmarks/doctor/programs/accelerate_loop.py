import sys

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def main():
    seed = int(sys.argv[1])
    set_seed(seed)
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x, dtype=torch.float32) / 16, torch.tensor(y)
    perm = torch.randperm(len(y))
    x, y = x[perm], y[perm]
    x_train, y_train, x_test, y_test = x[:1300], y[:1300], x[1300:], y[1300:]
    loader = DataLoader(TensorDataset(x_train, y_train), batch_size=16, shuffle=True)
    test_loader = DataLoader(TensorDataset(x_test, y_test), batch_size=128)
    model = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    criterion = nn.CrossEntropyLoss()
    model, optimizer, loader, test_loader = accelerator.prepare(model, optimizer, loader, test_loader)
    for epoch in range(10):
        model.train()
        for inputs, targets in loader:
            with accelerator.accumulate(model):
                loss = criterion(model(inputs), targets)
                accelerator.backward(loss)
                optimizer.step()
                optimizer.zero_grad()
    model.eval()
    hits = 0
    with torch.no_grad():
        for inputs, targets in test_loader:
            hits += (model(inputs).argmax(1) == targets).sum().item()
    print("score", hits / len(y_test))


if __name__ == "__main__":
    main()
